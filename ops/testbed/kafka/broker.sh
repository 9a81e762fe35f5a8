# One broker of a test bed: its certificate, its settings, its process. Sourced by `run`, which sets BED, BROKERS,
# FIRST_PORT and CLUSTER_ID.
# shellcheck shell=bash

# Each broker has its ports beside each other: the plain listener, SASL_SSL, the other brokers, the controllers.
PORTS_EACH=4

port_of() { echo $((FIRST_PORT + ($1 - 1) * PORTS_EACH + $2)); }
plain_of() { echo "127.0.0.1:$(port_of "$1" 0)"; }
sasl_ssl_of() { echo "127.0.0.1:$(port_of "$1" 1)"; }
all_brokers() { seq 1 "$BROKERS"; }

# Prints what the function $1 says of every broker, with commas between.
of_all() {
    local n words=()
    for n in $(all_brokers); do words+=("$("$1" "$n")"); done
    (IFS=, && echo "${words[*]}")
}

# The authority of this test bed, and one certificate for all its brokers. The authority's key is not kept.
make_certificates() {
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes) work
    work=$(mktemp --directory)
    quietly openssl req -x509 "${key[@]}" -days 365 -subj '/CN=authority of a test bed' \
        -keyout "$work/ca.key" -out "$BED/ca.pem"
    quietly openssl req "${key[@]}" -subj /CN=broker -keyout "$work/broker.key" -out "$work/broker.csr"
    quietly openssl x509 -req -in "$work/broker.csr" -CA "$BED/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 365 \
        -extfile <(printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n') -out "$work/broker.pem"
    cat "$work/broker.key" "$work/broker.pem" >"$BED/broker.pem"
    rm -rf "$work"
}

voter_of() { echo "$1@127.0.0.1:$(port_of "$1" 3)"; }

settings_of() {
    local n=$1 copies=$BROKERS in_sync=$((BROKERS / 2 + 1))
    cat <<SETTINGS
process.roles=broker,controller
node.id=$n
log.dirs=$BED/$n/data
controller.quorum.voters=$(of_all voter_of)

# Whoever reaches the plain listener may do everything: it is for tests of the same machine. On SASL_SSL a user may do
# what ACLs grant. Brokers and controllers know each other by their certificate.
listeners=PLAINTEXT://$(plain_of "$n"),SASL_SSL://$(sasl_ssl_of "$n"),BROKER://127.0.0.1:$(port_of "$n" 2),CONTROLLER://127.0.0.1:$(port_of "$n" 3)
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,BROKER:SSL,CONTROLLER:SSL
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
listener.name.broker.ssl.client.auth=required
listener.name.controller.ssl.client.auth=required
listener.name.sasl_ssl.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$BED/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=$BED/ca.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:CN=broker;User:admin

# What is acknowledged outlives the loss of one broker of three. A topic that is missing is a mistake.
default.replication.factor=$copies
min.insync.replicas=$in_sync
offsets.topic.replication.factor=$copies
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$in_sync
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=$in_sync
auto.create.topics.enable=false

# Tests wait for a dead broker, a dead consumer and a dead producer to be noticed: after seconds, with the limits at
# which a client may ask for more or less.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=250
group.consumer.heartbeat.interval.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.cleaner.backoff.ms=1000

# Small: partitions of the internal topics, threads, and the cleaner's buffer, whose 128 MiB are half of the heap.
offsets.topic.num.partitions=6
transaction.state.log.num.partitions=6
share.coordinator.state.topic.num.partitions=6
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
SETTINGS
}

# The heap holds requests and the state of producers; what is written lies in the page cache, outside of it. Without the
# second compiler a broker starts with half of the work, and what it takes per second later is no matter in a test.
JAVA_OPTIONS=(-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1
    "-Dlog4j2.configurationFile=$KAFKA_BED/log4j2.properties")

# An empty log with the admin's password in it. Arguments in a file, as the process list is for everybody.
format_broker() {
    mkdir -p "$BED/$1"
    settings_of "$1" >"$BED/$1/server.properties"
    (
        trap 'rm -f "$BED/$1/format"' EXIT
        printf '%s\n' --add-scram "SCRAM-SHA-512=[name=admin,password=$(cat "$BED/admin.password")]" >"$BED/$1/format"
        quietly java "${JAVA_OPTIONS[@]}" -cp "$KAFKA_JARS/*" kafka.tools.StorageTool format \
            --cluster-id "$CLUSTER_ID" --config "$BED/$1/server.properties" "@$BED/$1/format"
    )
}

# The process of a broker, if it lives. A process id that somebody else has by now is nobody's.
pid_of() {
    local pid
    pid=$(cat "$BED/$1/pid" 2>/dev/null) || return 1
    grep --quiet --fixed-strings --text "$BED/$1/server.properties" "/proc/$pid/cmdline" 2>/dev/null || return 1
    echo "$pid"
}

start_broker() {
    ! pid_of "$1" >/dev/null || return 0
    setsid java "${JAVA_OPTIONS[@]}" -cp "$KAFKA_JARS/*" kafka.Kafka "$BED/$1/server.properties" \
        >>"$BED/$1/log" 2>&1 </dev/null 9>&- &
    echo $! >"$BED/$1/pid"
    # Until then it is a copy of this shell, and not known for a broker.
    while ! pid_of "$1" >/dev/null && kill -0 $! 2>/dev/null; do sleep 0.02; done
}

# Sends a signal to a broker, if it lives.
signal_broker() {
    local pid
    ! pid=$(pid_of "$1") || kill "-$2" "$pid" 2>/dev/null || true
}

# Waits until a broker's process is gone. Arguments: broker, until when ($SECONDS).
wait_until_dead() {
    while pid_of "$1" >/dev/null; do
        [ $SECONDS -lt "$2" ] || return 1
        sleep 0.1
    done
}
