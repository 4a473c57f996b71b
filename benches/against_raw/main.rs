//! howdah beside raw tokio-postgres: the same work, the same server, the same run.
//!
//! `./dev bench` runs it with client and server pinned to one processor and prints a table of medians and ratios. The raw
//! side is written in the best shapes known: prepared statements, arrays and `unnest`, one statement without a transaction,
//! `BEGIN` and `COMMIT` pipelined with the work, keys from the sequence first, `COPY`. The ratio is to the best of them.
//! What each way has done is checked before it is timed.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    missing_debug_implementations,
    reason = "a benchmark that fails panics; nobody uses it as a library"
)]

mod clean;
mod copy;
mod delete;
mod eager;
mod graph;
mod insert;
mod load;
mod measure;
mod memory;
mod model;
mod plain;
mod stage;
mod update;

use measure::{Measured, Scenario, measure, try_out};
use stage::Stage;

/// What the command line asks for, in the words of criterion: only `cargo bench` measures, unless it is asked for a trial
/// or a list; names are a filter.
struct Asked {
    names: Vec<String>,
    measures: bool,
    lists: bool,
}

impl Asked {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let (measures, lists) = (has("--bench") && !has("--test"), has("--list"));
        let names = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
        Self { names, measures, lists }
    }

    /// Whether a benchmark is to run. If only a list is asked for, none is: it is listed.
    fn runs(&self, name: &str) -> bool {
        if self.lists {
            println!("{name}: benchmark");
        }
        !self.lists && self.wants(name)
    }

    /// Whether a benchmark is among those that are asked for: all, if no name was given or that of the whole.
    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|part| part == "against_raw" || name.contains(part.as_str()))
    }
}

async fn run<S: Scenario>(asked: &Asked, stage: &Stage, scenario: S, all: &mut Vec<Measured>) {
    if !asked.runs(&scenario.name()) {
        return;
    }
    if asked.measures {
        all.push(measure(stage, scenario).await);
    } else {
        try_out(stage, scenario).await;
    }
}

fn main() {
    let asked = Asked::from_arguments();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if memory::is_measured_process(&runtime) {
        return;
    }
    let stage = runtime.block_on(Stage::new());
    let all = runtime.block_on(async {
        let mut all = Vec::new();
        for users in [1, 100, 1000, 10_000] {
            run(&asked, &stage, insert::Insert::new(users), &mut all).await;
        }
        run(&asked, &stage, update::Update::default(), &mut all).await;
        run(&asked, &stage, graph::Graph::default(), &mut all).await;
        run(&asked, &stage, delete::Delete, &mut all).await;
        run(&asked, &stage, load::FindOne::default(), &mut all).await;
        for users in [10, 100, 10_000] {
            run(&asked, &stage, load::Load::new(users), &mut all).await;
        }
        run(&asked, &stage, load::Load::projections(10_000), &mut all).await;
        run(&asked, &stage, eager::Eager::default(), &mut all).await;
        all
    });
    // A trial only shows that it works.
    let many: u32 = if asked.measures { 100_000 } else { 1000 };
    if asked.runs(memory::NAME) {
        memory::run(&runtime, &stage, many as usize);
    }
    if clean::NAMES.map(|name| asked.runs(name)).contains(&true) {
        clean::run(&runtime, &stage, &asked, many.into());
    }
    if !all.is_empty() {
        Measured::print_all(&all);
    }
}
