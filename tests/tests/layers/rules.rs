//! Who may depend on whom. To add a crate, add it to the layer it belongs to. To let a crate use something new,
//! change a rule here and defend it in review.

/// Crates of one kind, and the kinds that they may use. A layer never names itself, so its members stay apart.
pub(crate) struct Layer {
    pub(crate) name: &'static str,
    pub(crate) members: &'static [&'static str],
    pub(crate) uses: &'static [&'static str],
    /// Crates that tests of the members may use besides.
    pub(crate) tests_use: &'static [&'static str],
    pub(crate) why: &'static str,
}

pub(crate) const LAYERS: &[Layer] = &[
    Layer {
        name: "kernel",
        members: &["identsphere-kernel"],
        uses: &[],
        tests_use: &[],
        why: "the vocabulary everybody speaks knows nobody",
    },
    Layer {
        name: "domains",
        members: &[
            "identsphere-accounts",
            "identsphere-organizations",
            "identsphere-sessions",
            "identsphere-tokens",
            "identsphere-audit",
            "identsphere-factors",
        ],
        uses: &["kernel"],
        tests_use: &["identsphere-testkit", "identsphere-crypto"],
        why: "domains never know each other: they meet in the use cases of core",
    },
    Layer {
        name: "settings",
        members: &["identsphere-settings"],
        uses: &["kernel"],
        tests_use: &[],
        why: "settings are values: the composition root turns them into policies",
    },
    Layer {
        name: "core",
        members: &["identsphere-core"],
        uses: &["kernel", "domains"],
        tests_use: &[
            "identsphere-testkit",
            "identsphere-store-memory",
            "identsphere-crypto",
            "identsphere-blob",
        ],
        why: "use cases know ports; which store, library or framework stands behind them is decided in bins",
    },
    Layer {
        name: "http",
        members: &["identsphere-http"],
        uses: &["kernel", "domains", "core"],
        tests_use: &[
            "identsphere-testkit",
            "identsphere-store-memory",
            "identsphere-crypto",
            "identsphere-blob",
        ],
        why: "the HTTP contract is written once, without a framework and without a store",
    },
    Layer {
        name: "outside",
        members: &[
            "identsphere-blob",
            "identsphere-crypto",
            "identsphere-mail",
            "identsphere-store-memory",
            "identsphere-store-sqlite",
            "identsphere-store-postgres",
            "identsphere-example-store",
        ],
        uses: &["kernel", "domains", "core"],
        tests_use: &["identsphere-testkit", "identsphere-store-contract"],
        why: "an adapter implements ports: it never sees HTTP, and adapters never see each other",
    },
    Layer {
        name: "frameworks",
        members: &["identsphere-actix", "identsphere-axum"],
        uses: &["kernel", "domains", "core", "http"],
        tests_use: &[
            "identsphere-testkit",
            "identsphere-store-memory",
            "identsphere-crypto",
            "identsphere-blob",
        ],
        why: "a framework adapter mounts the route table: whatever it decided itself would be decided twice",
    },
    Layer {
        name: "testkit",
        members: &["identsphere-testkit"],
        uses: &["kernel", "domains", "core"],
        tests_use: &[],
        why: "test helpers build values and implement ports; they never start an adapter",
    },
    Layer {
        name: "contract",
        members: &["identsphere-store-contract"],
        uses: &["kernel", "domains", "core", "testkit"],
        tests_use: &[],
        why: "the suite every store runs sees a store only through its ports",
    },
    Layer {
        name: "bins",
        members: &["identsphere-server"],
        uses: &["kernel", "domains", "core", "http", "settings", "outside", "frameworks"],
        tests_use: &["identsphere-testkit"],
        why: "the composition root may see everything, except what exists for tests",
    },
    Layer {
        name: "end-to-end",
        members: &["identsphere-e2e"],
        uses: &[
            "kernel",
            "domains",
            "core",
            "http",
            "settings",
            "outside",
            "frameworks",
            "testkit",
            "contract",
        ],
        tests_use: &[],
        why: "nothing may depend on the end-to-end tests",
    },
    Layer {
        name: "benches",
        members: &["identsphere-bench"],
        uses: &[],
        tests_use: &[],
        why: "the server is measured from outside, as its users meet it",
    },
    Layer {
        name: "function benches",
        members: &["identsphere-bench-functions"],
        uses: &["kernel", "domains", "core", "http", "outside", "testkit"],
        tests_use: &[],
        why: "functions are measured where they are, in a service without a socket",
    },
];

/// Crates of others, and the only ones of ours that may name them. A pattern may end in `*`.
pub(crate) struct Outsider {
    pub(crate) crates: &'static [&'static str],
    pub(crate) only_in: &'static [&'static str],
    /// Crates whose tests may name them besides.
    pub(crate) tests_in: &'static [&'static str],
    pub(crate) why: &'static str,
}

pub(crate) const OUTSIDERS: &[Outsider] = &[
    Outsider {
        crates: &[
            "diesel*",
            "libsqlite3-sys",
            "tokio-postgres*",
            "deadpool*",
            "rusqlite",
            "sqlx*",
            "postgres*",
        ],
        only_in: &[
            "identsphere-store-sqlite",
            "identsphere-store-postgres",
            "identsphere-e2e",
            "identsphere-bench",
        ],
        tests_in: &[],
        why: "no port returns rows, connections or driver errors, so only a store knows its driver; the end-to-end \
              tests read the tables as host applications do, and the yardsticks are the drivers alone",
    },
    Outsider {
        crates: &["rustls*", "tokio-rustls", "rcgen"],
        only_in: &["identsphere-store-postgres", "identsphere-testkit"],
        tests_in: &[],
        why: "whom a connection trusts is decided where the connection is made; elsewhere a proxy ends TLS",
    },
    Outsider {
        crates: &["rpds"],
        only_in: &["identsphere-store-memory"],
        tests_in: &[],
        why: "persistent maps are how the memory store commits",
    },
    Outsider {
        crates: &["actix*"],
        only_in: &["identsphere-actix", "identsphere-server", "identsphere-e2e", "identsphere-bench"],
        tests_in: &[],
        why: "actix-web is one of two frameworks: what it alone knows, the other lacks",
    },
    Outsider {
        crates: &["axum*", "tower*", "hyper*"],
        only_in: &["identsphere-axum", "identsphere-e2e"],
        tests_in: &[],
        why: "axum is one of two frameworks: what it alone knows, the other lacks",
    },
    Outsider {
        crates: &["lettre", "minijinja*"],
        only_in: &["identsphere-mail"],
        tests_in: &[],
        why: "how mail looks and leaves is a port",
    },
    Outsider {
        crates: &["http"],
        only_in: &["identsphere-http", "identsphere-actix", "identsphere-axum", "identsphere-e2e"],
        tests_in: &[],
        why: "below the HTTP contract nobody knows a status code or a header",
    },
    Outsider {
        crates: &["tokio"],
        only_in: &[
            "identsphere-core",
            "identsphere-http",
            "identsphere-blob",
            "identsphere-mail",
            "identsphere-crypto",
            "identsphere-store-memory",
            "identsphere-store-sqlite",
            "identsphere-store-postgres",
            "identsphere-example-store",
            "identsphere-actix",
            "identsphere-axum",
            "identsphere-testkit",
            "identsphere-store-contract",
            "identsphere-server",
            "identsphere-e2e",
            "identsphere-bench",
        ],
        tests_in: &["identsphere-bench-functions"],
        why: "domains decide; they neither wait nor spawn",
    },
    Outsider {
        crates: &["rsa"],
        only_in: &["identsphere-crypto", "identsphere-e2e"],
        tests_in: &[],
        why: "its private-key operations leak through timing (RUSTSEC-2023-0071): keys are made with it, nothing is signed",
    },
    Outsider {
        crates: &[
            "josekit",
            "openssl*",
            "chacha20poly1305",
            "scrypt",
            "argon2",
            "bcrypt",
            "pbkdf2",
            "aes",
            "ctr",
        ],
        only_in: &["identsphere-crypto", "identsphere-bench"],
        tests_in: &[],
        why: "signing, sealing and password hashing are ports with one adapter; the yardsticks are the libraries alone",
    },
    Outsider {
        crates: &["passkey*"],
        only_in: &["identsphere-testkit"],
        tests_in: &[],
        why: "other people's authenticator proves our relying party: neither may be made of the other",
    },
    Outsider {
        crates: &["sha1", "png", "qrcode"],
        only_in: &["identsphere-factors"],
        tests_in: &[],
        why: "one-time codes are computed and pictured in one place, and nothing else may rest on SHA-1",
    },
    Outsider {
        crates: &["image", "object_store"],
        only_in: &["identsphere-blob", "identsphere-e2e"],
        tests_in: &[],
        why: "what strangers send is decoded behind a port, and where it is kept is one too",
    },
    Outsider {
        crates: &["multer"],
        only_in: &["identsphere-http"],
        tests_in: &[],
        why: "bodies belong to the HTTP contract",
    },
    Outsider {
        crates: &["getrandom", "rand*"],
        only_in: &["identsphere-kernel"],
        tests_in: &[],
        why: "randomness is a parameter: take a `SecureRandom`",
    },
    Outsider {
        crates: &["reqwest"],
        only_in: &["identsphere-e2e"],
        tests_in: &["identsphere-server"],
        why: "nothing calls out yet; each outside system gets an adapter of its own",
    },
    Outsider {
        crates: &["criterion"],
        only_in: &[],
        tests_in: &["identsphere-bench-functions"],
        why: "measurements are no tests: nothing that tests run is timed",
    },
    Outsider {
        crates: &["anyhow", "eyre", "color-eyre"],
        only_in: &[],
        tests_in: &[],
        why: "errors are enums by meaning: a use case that cannot name its failure cannot answer it",
    },
    Outsider {
        crates: &["clap", "tracing-subscriber", "metrics-exporter-prometheus"],
        only_in: &["identsphere-server"],
        tests_in: &["identsphere-http"],
        why: "command line, log output and metrics output belong to the process, not to a library",
    },
];

/// Crates with lints of their own: test code may unwrap, index and panic, and still must not be unsafe.
pub(crate) const OWN_LINTS: &[&str] = &["identsphere-e2e"];

/// Rust, SQL, shell and Python past this many lines must be split.
pub(crate) const MOST_LINES: usize = 800;

pub(crate) const ENGINES: [&str; 2] = ["postgres", "sqlite"];
