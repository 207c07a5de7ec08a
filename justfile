# Every recipe is a thin name for a script or one cargo command; `just` is optional.

# Show the recipes.
default:
    @just --list

# Build, start on the SQLite default, show how to talk to it.
run:
    scripts/quickstart

# Install what the tests need and run everything, as CI does.
test:
    scripts/test

# Format the code.
fmt:
    cargo fmt --all

# Formatting and lints, without the tests.
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# The documentation of the crates, in the browser.
docs:
    cargo doc --workspace --no-deps --open

# The published validation recipes against a server of their own.
validators:
    tests/validators/provide
    IDENTSPHERE_RATE_LIMITS=off PATH="$PWD/target/python/bin:$PATH" scripts/with-server tests/validators/run

# Generated requests against every route of the API document.
schemathesis:
    IDENTSPHERE_RATE_LIMITS=off scripts/with-server tests/schemathesis/run

# Measure against a bare handler and against the parts, 13 minutes; rewrites the tables in docs/performance.md.
bench:
    scripts/bench --write

# What calls cost as users and sessions grow to millions; rewrites the tables in docs/performance.md.
bench-scale:
    scripts/bench-scale --write

# The hot functions, each alone.
bench-functions:
    scripts/bench-functions --write

# How many instructions requests cost, which shows regressions on a busy machine too.
bench-instructions:
    scripts/bench-instructions --write

# Forged tokens, hostile pages, smuggled requests, bombs and 5,000 slow clients; about three minutes.
proof-attack:
    cargo test --locked -p identsphere-e2e --test attack
    scripts/with-server scripts/proof-attack bombs slow

# Slow clients against the service mounted in axum.
proof-slow-axum:
    scripts/with-axum-server scripts/proof-attack slow

# Requests that must not be told apart by their timing, 25 minutes for all; wants a machine with nothing else to do.
proof-timing pairs="":
    IDENTSPHERE_RATE_LIMITS=off IDENTSPHERE_PASSWORD_HASH=argon2id:m=19456,t=2,p=1 PROFILE=release \
        scripts/with-server scripts/proof-timing --samples 5000 --pairs "{{ pairs }}"

# Every fuzz target, for an hour each unless told otherwise.
proof-fuzz seconds="3600":
    scripts/proof-fuzz {{ seconds }}

# Changes what decides who may sign in, place by place, and runs the tests against each: `domains` (90 minutes) or `core` (hours).
proof-mutants part *options: cargo-mutants
    scripts/proof-mutants {{ part }} {{ options }}

# Many generated requests against every route of the API document, on the release build; an hour and more.
proof-requests examples="2000":
    IDENTSPHERE_RATE_LIMITS=off IDENTSPHERE_PASSWORD_HASH=argon2id:m=19456,t=2,p=1 PROFILE=release EXAMPLES={{ examples }} \
        PATH="$PWD/target/python/bin:$PATH" scripts/with-server tests/schemathesis/run

# The drills with several nodes at their full size; rewrites their table in docs/drills.md.
proof-nodes:
    scripts/proof-nodes

# The drills with faults and floods at their full size; rewrites their table in docs/drills.md.
proof-faults:
    scripts/proof-faults

# Servers at work for two hours on either store, one of them for months by its own clock; rewrites the table in docs/drills.md.
proof-soak minutes="120":
    scripts/proof-soak --store sqlite --minutes {{ minutes }} --write
    scripts/proof-soak --store postgres --minutes {{ minutes }} --write

# Bans, licences and sources of the dependencies; needs no advisory database.
deny: cargo-deny
    cargo deny --locked check bans licenses sources

# Known vulnerabilities of the dependencies; fetches the advisory database.
advisories: cargo-deny
    cargo deny check advisories

[private]
cargo-deny:
    @command -v cargo-deny >/dev/null || cargo install --locked cargo-deny

[private]
cargo-mutants:
    @command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants
