# The commands of daily work. `just` lists them; .ci/run is what must pass.

default:
    @just --list

# Everything CI runs.
check:
    ./.ci/run

# Every test, with the clients they drive installed first.
test *arguments:
    ./tests/run {{arguments}}

# The tests against another broker, to prove what they expect.
test-peer url='amqp://guest:guest@127.0.0.1:5672':
    ./tests/setup
    LEVERET_PEER={{url}} cargo test -p leveret-tests --test interop

# Ours against rabbitmqadmin of RabbitMQ itself, the one in Rust: what both print has to be the same.
# Builds it once, which takes longer than most tests together.
admin-clients:
    cargo install --locked --debug --root target/admin-clients rabbitmqadmin@2.29.0
    LEVERET_RABBITMQADMIN={{justfile_directory()}}/target/admin-clients/bin/rabbitmqadmin \
        cargo test -p leveret-tests --test operation second_grammar

# The house rules alone; no broker needed.
tidy:
    cargo test -p leveret-tests --test tidy

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Licences, advisories and duplicates of dependencies. Installs cargo-deny once.
deny:
    cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
    cargo deny check

# Fuzzes what reads octets of strangers, each target so many seconds, and conversations over real
# sockets. Wants a nightly toolchain; installs cargo-fuzz once.
fuzz seconds='60' targets='decode_frame method properties field_table sasl_response web_token proxy_header configuration definitions log_segment log_record':
    #!/usr/bin/env bash
    set -euo pipefail
    cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
    for target in {{targets}}; do
        mkdir -p "tests/fuzz/corpus/$target"
        cargo +nightly fuzz run --fuzz-dir tests/fuzz --sanitizer none "$target" \
            "tests/fuzz/corpus/$target" "tests/fuzz/seeds/$target" -- -max_total_time={{seconds}}
    done
    LEVERET_FUZZ_SECONDS={{seconds}} cargo test -p leveret-tests --test robustness fuzz

# Builds the image, runs it, and talks to it with pika.
docker-smoke:
    ./config/docker/smoke
