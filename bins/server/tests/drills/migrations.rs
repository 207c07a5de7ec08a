//! D-11: the schema changes while people are served.

use std::time::{Duration, Instant};

use identsphere_testkit::PostgresServer;
use tokio::task::block_in_place;

use crate::load::{Load, percentile_ms, sign_up};
use crate::node::{Database, Launch, Node, drill, figure, sized};

/// What the next release will bring, as its migration would: a column, an index, a line in the ledger.
fn expand(schema: &str) -> Vec<String> {
    vec![
        "SET lock_timeout = 1000".to_owned(),
        format!("ALTER TABLE {schema}.user_sessions ADD COLUMN next_release text"),
        format!("ALTER TABLE {schema}.users ADD COLUMN next_release integer NOT NULL DEFAULT 0"),
        format!("CREATE INDEX drill ON {schema}.user_sessions (next_release)"),
        format!("INSERT INTO {schema}.__diesel_schema_migrations (version) VALUES ('29990101000001')"),
    ]
}

/// The way back.
fn take_back(schema: &str) -> Vec<String> {
    vec![
        "SET lock_timeout = 1000".to_owned(),
        format!("DELETE FROM {schema}.__diesel_schema_migrations WHERE version = '29990101000001'"),
        format!("ALTER TABLE {schema}.users DROP COLUMN next_release"),
        format!("ALTER TABLE {schema}.user_sessions DROP COLUMN next_release"),
    ]
}

fn run(server: &PostgresServer, statements: &[String]) {
    let statements: Vec<_> = statements.iter().map(String::as_str).collect();
    block_in_place(|| server.run_sql(&statements));
}

fn schema(database: &Database) -> &str {
    let Database::Postgres { schema, .. } = database else { panic!("SQLite has no schemas") };
    schema
}

#[test]
fn the_next_release_may_expand_the_schema_and_take_it_back_under_load() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let (server, database) = (PostgresServer::shared(), Database::shared_postgres());
        let one = Node::start(&database, directory.path()).await;
        let mut other = Node::start(&database, directory.path()).await;
        let people = sign_up(&one.client(), "expand", 8).await;
        let clients = [one.client(), other.client()];
        let people = people.into_iter().enumerate();
        let load = Load::start(people.map(|(n, tokens)| (clients[n % 2].clone(), tokens)).collect());
        let rounds = sized(2, 20);
        for _ in 0..rounds {
            run(server, &expand(schema(&database)));
            assert_eq!(one.status("/readyz").await, Some(200), "a newer schema is no fault");
            assert!(!one.try_run(&["migrate", "down", "--steps", "1"]), "what is newer is not built over");
            tokio::time::sleep(Duration::from_millis(300)).await;
            run(server, &take_back(schema(&database)));
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let (_, samples) = load.stop().await;
        assert!(samples.iter().all(|sample| sample.is(200)), "{:?}", samples.iter().find(|s| !s.is(200)));
        // This release starts on the schema of the next, too.
        run(server, &expand(schema(&database)));
        other.signal("KILL");
        other.ended().await;
        other.start_again().await;
        assert!(other.client().register("late@example.com").await.is_some());
        run(server, &take_back(schema(&database)));
        figure("D-11", "schema expanded and taken back under load, times", rounds);
        figure("D-11", "requests meanwhile, all answered 200", samples.len());
        figure("D-11", "p99, ms", percentile_ms(99, samples.iter().map(|sample| sample.took)));
    });
}

#[test]
fn nodes_that_start_together_migrate_once() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::shared_postgres();
        let launches: Vec<_> = (0..3).map(|_| Launch::new(&database, directory.path())).collect();
        let nodes = futures::future::join_all(launches.iter().map(Launch::start)).await;
        let held = nodes[0].client().register("ada@example.com").await.unwrap();
        for node in &nodes {
            assert_eq!(node.client().session(&held.access).await, 200);
        }
    });
}

/// The migration wants tables that somebody holds, as a backup does for hours.
#[test]
fn a_migration_that_cannot_have_its_tables_gives_up_soon_and_serving_goes_on() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let (server, database) = (PostgresServer::shared(), Database::shared_postgres());
        let node = Node::start(&database, directory.path()).await;
        let people = sign_up(&node.client(), "held", 4).await;
        let schema = schema(&database);
        let hold = format!(
            "DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' LOOP \
             EXECUTE format('LOCK TABLE {schema}.%I IN ACCESS SHARE MODE', t); END LOOP; END $$"
        );
        let mut holder = server.spawn_sql(&["BEGIN", &hold, "SELECT pg_sleep(61)"]);
        let held = "DO $$ BEGIN FOR n IN 1..600 LOOP \
             PERFORM FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(61)' AND state = 'active'; \
             IF FOUND THEN RETURN; END IF; \
             PERFORM pg_stat_clear_snapshot(), pg_sleep(0.05); END LOOP; RAISE EXCEPTION 'nobody holds'; END $$";
        block_in_place(|| server.run_sql(&[held]));

        let load = Load::start(people.into_iter().map(|tokens| (node.client(), tokens)).collect());
        let began = Instant::now();
        assert!(
            !block_in_place(|| node.try_run(&["migrate", "down", "--steps", "1"])),
            "the tables are held"
        );
        let took = began.elapsed();
        assert_eq!(node.status("/readyz").await, Some(200), "the schema is what it was");
        let (_, samples) = load.stop().await;
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert!(took < Duration::from_secs(5), "it gave up after {took:?}");
        assert!(samples.iter().all(|sample| sample.is(200)), "{:?}", samples.iter().find(|s| !s.is(200)));
        figure("D-11", "until a migration without its tables gave up, ms", took.as_millis());
        let longest = samples.iter().map(|sample| sample.took.as_millis()).max().unwrap();
        figure("D-11", "longest answer meanwhile, ms (all 200)", longest);
    });
}
