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

# Builds the image, runs it, and talks to it with pika.
docker-smoke:
    ./config/docker/smoke
