//! Taking turns: every round runs every way of a scenario for a short while, so that what slows the machine down for
//! seconds slows all of them down, and cancels in the ratios.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::stage::Stage;

const ROUNDS: usize = 21;
/// How long a way runs in a round.
const TURN: Duration = Duration::from_millis(60);

/// One way to do the work of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One statement with arrays, which is its own transaction.
    Autocommit,
    /// `BEGIN`, statements with arrays, `COMMIT`: pipelined as far as the keys are known.
    Pipelined,
    /// Keys from the sequences first, then everything in one flight.
    KeysFirst,
    /// Keys from the sequences first, then `COPY`.
    Copy,
    /// Queries, pipelined if there are several.
    Queries,
    Howdah,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Autocommit => "one statement",
            Self::Pipelined => "pipelined",
            Self::KeysFirst => "keys first",
            Self::Copy => "COPY",
            Self::Queries => "queries",
            Self::Howdah => "howdah",
        }
    }
}

/// The same work, in several ways.
pub trait Scenario {
    /// What one run is given, made untimed.
    type Input;
    /// What it answers with: dropped within the time, as a caller would.
    type Output;

    fn name(&self) -> String;

    /// The ways of the raw side.
    fn raw_ways(&self) -> &'static [Way];

    /// Brings the tables to the state that the first run of a turn starts from.
    async fn reset(&mut self, stage: &Stage);

    /// Prepares one run, untimed.
    async fn input(&mut self, stage: &Stage) -> Self::Input;

    async fn run(&mut self, stage: &Stage, way: Way, input: Self::Input) -> Self::Output;

    /// Panics if the work was not done: looks at the answer and at the tables after the first run of a way.
    async fn check(&mut self, stage: &Stage, output: Self::Output);
}

/// What was measured of one scenario, in nanoseconds.
pub struct Measured {
    pub scenario: String,
    /// The best way of the raw side.
    pub best: &'static str,
    pub raw: f64,
    pub howdah: f64,
    /// The median of the rounds' ratios.
    pub ratio: f64,
}

impl Measured {
    pub fn print_all(all: &[Self]) {
        println!("\n| work | best raw shape | raw | howdah | ratio |\n|---|---|---:|---:|---:|");
        for one in all {
            let (raw, howdah) = (one.raw / 1e3, one.howdah / 1e3);
            println!("| {} | {} | {raw:.1} µs | {howdah:.1} µs | {:.2} |", one.scenario, one.best, one.ratio);
        }
    }
}

/// Runs every way once and checks what it did; nothing is measured.
pub async fn try_out<S: Scenario>(stage: &Stage, mut scenario: S) {
    for way in ways(&scenario) {
        check(stage, &mut scenario, way).await;
    }
    println!("{}: checked", scenario.name());
}

/// Checks every way, then measures them in turns.
pub async fn measure<S: Scenario>(stage: &Stage, mut scenario: S) -> Measured {
    let ways = ways(&scenario);
    for way in &ways {
        check(stage, &mut scenario, *way).await;
    }
    let mut medians = vec![Vec::new(); ways.len()];
    for round in 0..ROUNDS {
        for turn in 0..ways.len() {
            let index = (round + turn) % ways.len();
            let times = take_turn(stage, &mut scenario, ways[index]).await;
            medians[index].push(median(times));
        }
    }
    let overall: Vec<f64> = medians.iter().map(|rounds| median(rounds.clone())).collect();
    let raw = 0..ways.len() - 1;
    let best = raw.min_by(|one, two| overall[*one].total_cmp(&overall[*two])).unwrap();
    let last = ways.len() - 1;
    let ratios = medians[last].iter().zip(&medians[best]).map(|(howdah, raw)| howdah / raw).collect();
    let measured = Measured {
        scenario: scenario.name(),
        best: ways[best].name(),
        raw: overall[best],
        howdah: overall[last],
        ratio: median(ratios),
    };
    let shapes = ways.iter().zip(&overall).map(|(way, time)| format!("{} {:.1} µs", way.name(), time / 1e3));
    println!("{}: {}", measured.scenario, shapes.collect::<Vec<_>>().join(", "));
    measured
}

/// howdah is the last.
fn ways(scenario: &impl Scenario) -> Vec<Way> {
    scenario.raw_ways().iter().copied().chain([Way::Howdah]).collect()
}

async fn check<S: Scenario>(stage: &Stage, scenario: &mut S, way: Way) {
    scenario.reset(stage).await;
    let input = scenario.input(stage).await;
    let output = scenario.run(stage, way, input).await;
    scenario.check(stage, output).await;
}

/// The times of the runs of one turn. The first run plans anew what the reset has invalidated: it does not count.
async fn take_turn<S: Scenario>(stage: &Stage, scenario: &mut S, way: Way) -> Vec<f64> {
    scenario.reset(stage).await;
    let input = scenario.input(stage).await;
    scenario.run(stage, way, input).await;
    let mut times = Vec::new();
    let mut spent = Duration::ZERO;
    while spent < TURN || times.len() < 2 {
        let input = scenario.input(stage).await;
        let start = Instant::now();
        drop(black_box(scenario.run(stage, way, input).await));
        let time = start.elapsed();
        spent += time;
        times.push(time.as_secs_f64() * 1e9);
    }
    times
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
