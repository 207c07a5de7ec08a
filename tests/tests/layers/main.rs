//! The architecture as tests: who may depend on whom, and what holds for every crate, migration and file.
//!
//! `ARCHITECTURE.md` describes the layers; `rules.rs` is the list that is true.

#![expect(clippy::expect_used, reason = "a check that cannot read the workspace has failed")]

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use self::rules::{ENGINES, LAYERS, MOST_LINES, OUTSIDERS, OWN_LINTS};

#[test]
fn every_crate_depends_only_on_the_layers_below_it() {
    assert_none(&layer_faults(&packages(&workspace())));
}

#[test]
fn drivers_frameworks_and_libraries_stay_in_the_crates_that_own_them() {
    assert_none(&outsider_faults(&packages(&workspace())));
}

#[test]
fn the_layer_rules_notice_what_they_forbid() {
    let broken = [
        Package::new("identsphere-accounts").using("identsphere-sessions"),
        Package::new("identsphere-core").using("identsphere-store-memory"),
        Package::new("identsphere-core").testing_with("identsphere-store-memory"),
        Package::new("identsphere-store-sqlite").using("identsphere-store-postgres"),
        Package::new("identsphere-crypto").using("identsphere-http"),
        Package::new("identsphere-newcomer"),
    ];
    let faults = layer_faults(&broken);
    assert_eq!(faults.len(), 5, "{faults:#?}");

    let broken = [
        Package::new("identsphere-sessions").using("tokio"),
        Package::new("identsphere-core").using("diesel-async"),
        Package::new("identsphere-http").using("axum"),
        Package::new("identsphere-http").using("http"),
        Package::new("identsphere-tokens").testing_with("rsa"),
        Package::new("identsphere-http").using("metrics-exporter-prometheus"),
        Package::new("identsphere-http").testing_with("metrics-exporter-prometheus"),
    ];
    let faults = outsider_faults(&broken);
    assert_eq!(faults.len(), 5, "{faults:#?}");
}

#[test]
fn every_crate_inherits_lints_licence_and_versions() {
    let mut faults = vec![];
    for package in workspace().workspace_packages() {
        let manifest: toml::Table = fs::read_to_string(&package.manifest_path)
            .expect("a manifest is readable")
            .parse()
            .expect("a manifest is TOML");
        faults.extend(manifest_faults(&package.name, &manifest));
    }
    assert_none(&faults);
}

#[test]
fn the_manifest_rules_notice_what_they_forbid() {
    let inherits = "version.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
                    license.workspace = true\npublish.workspace = true\ndescription = 'x'\n";
    let good = format!("[package]\n{inherits}[lints]\nworkspace = true\n[dependencies]\na.workspace = true");
    let faults = |manifest: &str| manifest_faults("x", &manifest.parse().expect("TOML")).len();
    assert_eq!(faults(&good), 0);
    assert_eq!(faults(&good.replace("a.workspace = true", "a = '1'")), 1);
    assert_eq!(faults(&good.replace("a.workspace = true", "a = { path = '../a' }")), 1);
    assert_eq!(faults(&good.replace("license.workspace = true", "license = 'GPL-3.0'")), 1);
    let own_lints = good.replace("[lints]\nworkspace = true", "[lints.rust]\nunsafe_code = 'forbid'");
    assert_eq!(faults(&own_lints), 1);
    let of_tests = |manifest: &str| manifest_faults(OWN_LINTS[0], &manifest.parse().expect("TOML")).len();
    assert_eq!(of_tests(&own_lints), 0);
    assert_eq!(of_tests(&own_lints.replace("forbid", "deny")), 1);
}

#[test]
fn every_dependency_says_in_deny_toml_why_it_is_here() {
    let root = workspace().workspace_root;
    let read = |file| fs::read_to_string(root.join(file)).expect("a file at the root is readable");
    let reasons = read("deny.toml");
    let manifest: toml::Table = read("Cargo.toml").parse().expect("a manifest is TOML");
    let declared = manifest["workspace"]["dependencies"].as_table().expect("a table of dependencies");
    let faults: Vec<_> = declared
        .keys()
        .filter(|name| !name.starts_with("identsphere-") && !reasons.contains(&format!(" {name} [")))
        .map(|name| format!("{name} stands in the root manifest and not in deny.toml"))
        .collect();
    assert_none(&faults);
}

#[test]
fn every_engine_has_the_same_migrations_up_and_down() {
    let root = workspace().workspace_root.join("migrations");
    let found: BTreeMap<_, _> =
        ENGINES.map(|engine| (engine, migrations(root.join(engine).as_std_path()))).into();
    assert_none(&migration_faults(&found));
}

#[test]
fn the_migration_rules_notice_what_they_forbid() {
    let both = || Migration { up: "CREATE TABLE t (a)".into(), down: "DROP TABLE t".into() };
    let name = "2026-11-21-000001_identity";
    let faults = |postgres: &[(&str, Migration)], sqlite: &[(&str, Migration)]| {
        let of = |all: &[(&str, Migration)]| all.iter().map(|(n, m)| ((*n).to_owned(), m.clone())).collect();
        migration_faults(&BTreeMap::from([("postgres", of(postgres)), ("sqlite", of(sqlite))])).len()
    };
    assert_eq!(faults(&[(name, both())], &[(name, both())]), 0);
    assert_eq!(faults(&[(name, both())], &[]), 1);
    assert_eq!(faults(&[("one", both())], &[("one", both())]), 2);
    let no_down = Migration { down: "-- nothing to undo\n".into(), ..both() };
    assert_eq!(faults(&[(name, both())], &[(name, no_down)]), 1);
}

#[test]
fn no_source_file_is_longer_than_a_reader_can_hold() {
    let root = workspace().workspace_root.into_std_path_buf();
    let mut files = vec![];
    for folder in ["crates", "adapters", "bins", "tests", "examples", "migrations", "scripts", "benches"] {
        source_files(&root.join(folder), &mut files);
    }
    assert!(files.len() > 50, "the walk found only {} files", files.len());
    let faults: Vec<_> = files
        .iter()
        .filter_map(|path| {
            let lines = fs::read_to_string(path).expect("a source file is text").lines().count();
            let path = path.strip_prefix(&root).unwrap_or(path).display();
            (lines > MOST_LINES).then(|| format!("{path} has {lines} lines: split it by subject"))
        })
        .collect();
    assert_none(&faults);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = workspace().workspace_root.into_std_path_buf();
    let pages: Vec<_> =
        ["", "docs", "docs/adr"].iter().flat_map(|folder| entries(&root.join(folder))).collect();
    let mut faults = vec![];
    for page in pages.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(page).expect("a page is text");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_ours = !link.is_empty() && !link.contains(':');
            if is_ours && !page.with_file_name(link).exists() {
                faults.push(format!("{} links to {link}, which does not exist", page.display()));
            }
        }
    }
    assert_none(&faults);
}

/// A crate of ours and what it names in its manifest.
struct Package {
    name: String,
    /// Normal and build dependencies.
    uses: BTreeSet<String>,
    tests_use: BTreeSet<String>,
}

impl Package {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), uses: BTreeSet::new(), tests_use: BTreeSet::new() }
    }

    fn using(mut self, dependency: &str) -> Self {
        self.uses.insert(dependency.to_owned());
        self
    }

    fn testing_with(mut self, dependency: &str) -> Self {
        self.tests_use.insert(dependency.to_owned());
        self
    }
}

fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo describes the workspace")
}

fn packages(workspace: &Metadata) -> Vec<Package> {
    let read = |package: &cargo_metadata::Package| {
        let mut found = Package::new(&package.name);
        for dependency in &package.dependencies {
            let only_in_tests = dependency.kind == DependencyKind::Development;
            let names = if only_in_tests { &mut found.tests_use } else { &mut found.uses };
            names.insert(dependency.name.clone());
        }
        found
    };
    workspace.workspace_packages().into_iter().map(read).collect()
}

fn layer_faults(packages: &[Package]) -> Vec<String> {
    let layer_of = |name: &str| LAYERS.iter().find(|layer| layer.members.contains(&name));
    let mut faults = vec![];
    for package in packages {
        let Some(layer) = layer_of(&package.name) else {
            faults.push(format!("{} is in no layer: add it to the one it belongs to", package.name));
            continue;
        };
        let below = |name: &str| {
            let of_ours = name.starts_with("identsphere-");
            !of_ours || layer_of(name).is_some_and(|other| layer.uses.contains(&other.name))
        };
        let blame = |name: &String| format!("{} must not use {name}: {}", package.name, layer.why);
        faults.extend(package.uses.iter().filter(|name| !below(name)).map(blame));
        let in_tests = |name: &&String| !below(name) && !layer.tests_use.contains(&name.as_str());
        faults.extend(package.tests_use.iter().filter(in_tests).map(blame));
    }
    faults
}

fn outsider_faults(packages: &[Package]) -> Vec<String> {
    let matches = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    let mut faults = vec![];
    for package in packages {
        let of_tests = package.tests_use.difference(&package.uses).map(|name| (name, true));
        for (name, in_tests) in package.uses.iter().map(|name| (name, false)).chain(of_tests) {
            for rule in
                OUTSIDERS.iter().filter(|rule| rule.crates.iter().any(|pattern| matches(pattern, name)))
            {
                let here = package.name.as_str();
                if !(rule.only_in.contains(&here) || in_tests && rule.tests_in.contains(&here)) {
                    faults.push(format!("{here} must not use {name}: {}", rule.why));
                }
            }
        }
    }
    faults
}

fn manifest_faults(name: &str, manifest: &toml::Table) -> Vec<String> {
    let inherits = |value: Option<&toml::Value>| {
        value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
    };
    let table = |key: &str| manifest.get(key).and_then(toml::Value::as_table);
    let mut faults = vec![];
    let forbids_unsafe = || {
        let lints = table("lints").and_then(|lints| lints.get("rust"));
        lints.and_then(|lints| lints.get("unsafe_code")).and_then(toml::Value::as_str) == Some("forbid")
    };
    let has_lints = inherits(manifest.get("lints")) || (OWN_LINTS.contains(&name) && forbids_unsafe());
    if !has_lints {
        faults.push(format!("{name} does not inherit the workspace's lints"));
    }
    for key in ["version", "edition", "rust-version", "license", "publish"] {
        if !inherits(table("package").and_then(|package| package.get(key))) {
            faults.push(format!("{name} does not inherit `{key}` from the workspace"));
        }
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (dependency, value) in table(section).into_iter().flatten() {
            if !inherits(Some(value)) {
                faults
                    .push(format!("{name} names a version or path of {dependency}: the root manifest does"));
            }
        }
    }
    faults
}

#[derive(Clone)]
struct Migration {
    up: String,
    down: String,
}

fn migrations(folder: &Path) -> BTreeMap<String, Migration> {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    entries(folder)
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, Migration { up: read(path.join("up.sql")), down: read(path.join("down.sql")) })
        })
        .collect()
}

fn migration_faults(engines: &BTreeMap<&str, BTreeMap<String, Migration>>) -> Vec<String> {
    let says_something =
        |sql: &str| sql.lines().any(|line| !line.trim().is_empty() && !line.trim().starts_with("--"));
    let names: BTreeSet<_> = engines.values().flat_map(BTreeMap::keys).collect();
    let mut faults = vec![];
    for (engine, migrations) in engines {
        for name in &names {
            match migrations.get(*name) {
                None => {
                    faults.push(format!("{engine} has no migration {name}: engines share numbers and names"))
                }
                Some(_) if !is_migration_name(name) => {
                    faults.push(format!("{engine}/{name} is not named like 2026-01-31-000001_subject"));
                }
                Some(Migration { up, down }) => {
                    for (file, sql) in [("up.sql", up), ("down.sql", down)] {
                        if !says_something(sql) {
                            faults.push(format!(
                                "{engine}/{name}/{file} does nothing: every step has a way back"
                            ));
                        }
                    }
                }
            }
        }
    }
    if names.is_empty() {
        faults.push("there are no migrations".to_owned());
    }
    faults
}

/// `yyyy-mm-dd-nnnnnn_subject`, so that names sort in the order in which they are applied.
fn is_migration_name(name: &str) -> bool {
    name.split_once('_').is_some_and(|(number, subject)| {
        let digits: Vec<_> = number.split('-').map(str::len).collect();
        digits == [4, 2, 2, 6]
            && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
            && !subject.is_empty()
            && subject.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            source_files(&path, files);
        } else if matches!(extension, Some("rs" | "sql" | "sh" | "py")) {
            files.push(path);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    entries.map(|entry| entry.expect("an entry is readable").path()).collect()
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n- {}\n", faults.join("\n- "));
}
