# Talking to Coffer's REST API and to a database, with no secret on a command line or in the environment.
# Sourced after common.sh.
# shellcheck shell=bash

API=''    # of the tenant: http://HOST:PORT/v1.0/TENANT
TOKEN=''

# A random password that every layer takes unquoted.
new_password() { head -c 18 /dev/urandom | base64 | tr '+/' '-_'; }

# Asks for a token and sets TOKEN and API. Arguments: auth URL, user, project; the password comes on stdin.
log_in() {
    local answer
    answer=$(jq --raw-input --arg user "$2" --arg project "$3" '{auth: {
            identity: {methods: ["password"],
                password: {user: {name: $user, domain: {id: "default"}, password: .}}},
            scope: {project: {name: $project, domain: {id: "default"}}}}}' |
        curl --silent --show-error --fail-with-body --include --max-time 30 \
            --header 'Content-Type: application/json' --data-binary @- "$1/auth/tokens") ||
        die "no token: $answer"
    TOKEN=$(tr -d '\r' <<<"$answer" | sed -n 's/^x-subject-token: //Ip')
    API=$(tail -n 1 <<<"$answer" | jq --raw-output \
        '[.token.catalog[] | select(.type == "database") | .endpoints[] | select(.interface == "public") | .url][0]')
}

# One request: method, path below the tenant, and a body on stdin when there is a third argument `-`.
# Prints the answer's body; on a status of 400 or more it says so on stderr and fails.
call() {
    local body=() answer
    [ "${3:-}" != - ] || body=(--header 'Content-Type: application/json' --data-binary @-)
    answer=$(curl --silent --show-error --fail-with-body --max-time 30 --request "$1" \
        --config <(printf 'header = "X-Auth-Token: %s"\n' "$TOKEN") "${body[@]}" "$API$2") || {
        printf '%s %s: %s\n' "$1" "$2" "$answer" >&2
        return 1
    }
    printf '%s' "$answer"
}

# The status code of a GET.
status_of() {
    curl --silent --max-time 30 --output /dev/null --write-out '%{http_code}' \
        --config <(printf 'header = "X-Auth-Token: %s"\n' "$TOKEN") "$API$1"
}

# Waits until the instance is ACTIVE and HEALTHY. Arguments: instance id, deadline in seconds.
wait_until_healthy() {
    local deadline=$((SECONDS + $2)) seen=''
    while [ "$seen" != 'ACTIVE HEALTHY' ]; do
        [ $SECONDS -lt $deadline ] || die "the instance is not ACTIVE and HEALTHY after $2 s but: $seen"
        [ -z "$seen" ] || sleep 0.2
        seen=$(call GET "/instances/$1" | jq --raw-output '.instance | "\(.status) \(.operating_status)"')
        [ "${seen%% *}" != ERROR ] || die "the instance is in ERROR: $(call GET "/instances/$1")"
    done
}

# Waits until the instance is gone (404). Arguments: instance id, deadline in seconds.
wait_until_gone() {
    local deadline=$((SECONDS + $2))
    until [ "$(status_of "/instances/$1")" = 404 ]; do
        [ $SECONDS -lt $deadline ] || die "the instance is still there after $2 s"
        sleep 0.2
    done
}

# Runs the statements on stdin as a user over TCP. Arguments: address, user, password, database.
sql() {
    mariadb --defaults-extra-file=<(printf '[client]\nuser=%s\npassword=%s\n' "$2" "$3") \
        --protocol=tcp --host="$1" --port=3306 --connect-timeout=10 --table "$4"
}
