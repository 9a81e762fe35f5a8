# Fetches what a test bed with Apache Kafka runs on. Sourced after common.sh and install.sh.
# shellcheck shell=bash

KAFKA_BED=$REPOSITORY/ops/testbed/kafka
# Kafka 4 does not start on an older one.
KAFKA_JAVA=17

# Puts the jars that pom.xml names into the directory $1. The repository that Maven fills for it is not kept: most of it
# is Maven's own plugins.
fetch_kafka_jars() {
    local maven_home status=0
    maven_home=$(mktemp --directory)
    quietly mvn --batch-mode --quiet --strict-checksums --file "$KAFKA_BED/pom.xml" \
        "-Dmaven.repo.local=$maven_home" "-DoutputDirectory=$1" -DincludeScope=runtime \
        dependency:copy-dependencies || status=$?
    rm -rf "$maven_home"
    return "$status"
}

# Sets KAFKA_JARS to a directory with the jars of Kafka: those of jars.sha256, and none besides.
need_kafka() {
    local java lock=$KAFKA_BED/jars.sha256 fetched
    need_packages java:default-jre-headless openssl:openssl jq:jq flock:util-linux
    java=$(java -version 2>&1 | sed -n 's/^[a-z]* version "\([0-9.]*\).*/\1/p')
    at_least "$java" "$KAFKA_JAVA" || die "Kafka needs Java $KAFKA_JAVA or newer, and java is $java"
    KAFKA_JARS=$CACHE_DIR/kafka-$(cat "$KAFKA_BED/pom.xml" "$lock" | sha256sum | cut -c 1-12)
    [ ! -d "$KAFKA_JARS" ] || return 0
    need_packages mvn:maven certificates:ca-certificates
    say "fetching Apache Kafka by Maven (45 MB)"
    mkdir -p "$CACHE_DIR"
    fetched=$(mktemp --directory "$CACHE_DIR/kafka-XXXXXX.part")
    if ! fetch_kafka_jars "$fetched" ||
        ! (cd "$fetched" && export LC_ALL=C && sha256sum -- *.jar) | diff "$lock" - >&2; then
        rm -rf "$fetched"
        die "these are not the jars of $lock"
    fi
    # Whoever fetched at the same time and was first has the same.
    mv --no-target-directory "$fetched" "$KAFKA_JARS" 2>/dev/null || rm -rf "$fetched"
}
