//! What entities cost to compile: a crate of 100 of them, beside the same crate of plain structs.
//!
//! `./dev bench` runs it and prints a table. The crate is generated under the target directory and depends on howdah as
//! a user's does. Its dependencies are built first, untimed, and stay there for the next run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that fails panics")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proc_macro2::{TokenStream, TokenTree};

const STRUCTS: usize = 100;
const RUNS: usize = 3;

/// Ten properties of the types that users have: a relation to the next entity and the inverse of the one before.
fn entities() -> String {
    let mut source = "use howdah::prelude::*;\n".to_owned();
    for this in 0..STRUCTS {
        let (next, previous) = ((this + 1) % STRUCTS, (this + STRUCTS - 1) % STRUCTS);
        write!(
            source,
            "
#[derive(Entity, Clone, Debug)]
pub struct Entity{this} {{
    #[primary_key]
    pub id: i64,
    pub name: String,
    pub comment: Option<String>,
    pub count: i32,
    pub active: bool,
    pub created_at: DateTime<Utc>,
    pub weight: f64,
    pub token: Uuid,
    #[many_to_one(inversed_by = previous)]
    pub next: Option<Ref<Entity{next}>>,
    #[one_to_many(mapped_by = next)]
    pub previous: Collection<Entity{previous}>,
}}
"
        )
        .unwrap();
    }
    source
}

/// The same without an ORM: keys take the place of relations.
fn plain_structs() -> String {
    let mut source = "use howdah::prelude::{DateTime, Utc, Uuid};\n".to_owned();
    for this in 0..STRUCTS {
        write!(
            source,
            "
#[derive(Clone, Debug)]
pub struct Plain{this} {{
    pub id: i64,
    pub name: String,
    pub comment: Option<String>,
    pub count: i32,
    pub active: bool,
    pub created_at: DateTime<Utc>,
    pub weight: f64,
    pub token: Uuid,
    pub next: Option<i64>,
    pub previous: Vec<i64>,
}}
"
        )
        .unwrap();
    }
    source
}

/// The generated crate.
struct Crate {
    directory: PathBuf,
}

impl Crate {
    fn new() -> Self {
        let howdah = Path::new(env!("CARGO_MANIFEST_DIR"));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_time");
        fs::create_dir_all(directory.join("src")).unwrap();
        // A workspace of its own: the target directory may be in one.
        let manifest = format!(
            "[workspace]\n\n[package]\nname = \"generated\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nhowdah = {{ path = {howdah:?} }}\n"
        );
        fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        // The versions that howdah itself is tested with, which are already downloaded.
        fs::copy(howdah.join("Cargo.lock"), directory.join("Cargo.lock")).unwrap();
        Self { directory }
    }

    fn write(&self, source: &str) {
        fs::write(self.directory.join("src/lib.rs"), source).unwrap();
    }

    /// `cargo` with a target directory of that name.
    fn cargo(&self, target: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).arg("--quiet").arg("--target-dir").arg(self.directory.join(target));
        // Each run compiles the whole crate: with incremental compilation, a touched file costs next to nothing.
        command.current_dir(&self.directory).env("CARGO_INCREMENTAL", "0");
        command
    }

    fn run(&self, verb: &str) {
        assert!(self.cargo("target", &[verb]).status().unwrap().success(), "cargo {verb} failed");
    }

    /// The median time to compile `source`, whose dependencies are built.
    fn time(&self, verb: &str, source: &str) -> Duration {
        let mut times: Vec<Duration> = (0..RUNS)
            .map(|_| {
                self.write(source);
                let start = Instant::now();
                self.run(verb);
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[RUNS / 2]
    }

    /// The number of tokens that the derives make of `source`, or `None` if the compiler does not show them.
    fn generated_tokens(&self, source: &str) -> Option<usize> {
        self.write(source);
        let expand = ["rustc", "--profile", "check", "--lib"];
        // Dependencies look at RUSTC_BOOTSTRAP, too, and would be built anew in every run if they shared a directory.
        let mut command = self.cargo("expanded", &expand);
        command.args(["--", "-Zunpretty=expanded"]).env("RUSTC_BOOTSTRAP", "1").stderr(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        let expanded = count_tokens(&String::from_utf8(output.stdout).ok()?)?;
        expanded.checked_sub(count_tokens(source)?)
    }
}

/// Identifiers, literals, delimiters and characters of punctuation.
fn count_tokens(source: &str) -> Option<usize> {
    fn count(tokens: TokenStream) -> usize {
        let count_tree = |tree| match tree {
            TokenTree::Group(group) => 2 + count(group.stream()),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => 1,
        };
        tokens.into_iter().map(count_tree).sum()
    }
    source.parse().ok().map(count)
}

fn print_row(work: &str, plain: Duration, entities: Duration) {
    let (plain, entities) = (plain.as_secs_f64(), entities.as_secs_f64());
    let each = (entities - plain) * 1e3 / STRUCTS as f64;
    println!("| {work} | {plain:.2} s | {entities:.2} s | {each:.1} ms |");
}

fn measure() {
    let (plain, entities) = (plain_structs(), entities());
    let generated = Crate::new();
    println!("compiling the dependencies of a crate of {STRUCTS} entities, then the crate");
    generated.write("");
    generated.run("check");
    generated.run("build");
    let check = ["check", "build"].map(|verb| (verb, generated.time(verb, &plain), generated.time(verb, &entities)));
    let tokens = generated.generated_tokens(&plain).zip(generated.generated_tokens(&entities));

    println!("\n| {STRUCTS} structs of 10 fields | plain structs | entities | more per entity |\n|---|---:|---:|---:|");
    for (verb, plain, entities) in check {
        print_row(&format!("`cargo {verb}`"), plain, entities);
    }
    match tokens {
        Some((plain, entities)) => {
            let each = entities.saturating_sub(plain) / STRUCTS;
            println!("| tokens that the derives generate | {plain} | {entities} | {each} |");
        }
        None => println!("| tokens that the derives generate | the compiler does not show them | | |"),
    }
}

/// What every mode checks: that what would be compiled and counted is what it should be.
fn check() {
    assert_eq!(count_tokens("fn one() -> u8 { 1 }"), Some(10));
    for source in [plain_structs(), entities()] {
        assert_eq!(source.matches("pub struct").count(), STRUCTS);
        assert_eq!(source.matches("    pub ").count(), 10 * STRUCTS);
        assert!(count_tokens(&source).is_some());
    }
}

fn main() {
    check();
    // As criterion: only `cargo bench` measures, unless it is asked for a trial or a list; names are a filter.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let mut names = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
    let named = names.peek().is_none() || names.any(|name| "compile_time".contains(name.as_str()));
    if has("--bench") && !has("--test") && !has("--list") && named {
        measure();
    }
}
