//! What a large identity map costs those who do not use it: nothing. A flush looks at what was touched, not at what
//! was loaded; a loaded key is found without the server.

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::Criterion;
use howdah::Managed;
use howdah::prelude::*;
use tokio::runtime::Runtime;

use crate::Asked;
use crate::model::User;
use crate::stage::Stage;

const TOUCHED: u64 = 10;
const FLUSH: &str = "flush 10 changed";
const KNOWN: &str = "find one, known";

/// The names of these benchmarks.
pub const NAMES: [&str; 2] = [FLUSH, KNOWN];

/// An entity manager that has loaded some users.
async fn load(stage: &Stage, users: u64) -> (EntityManager, Vec<Managed<User>>) {
    let em = stage.orm.em();
    let users = em.find::<User>().order_by(|u| u.id().asc()).limit(users).await.unwrap();
    (em, users)
}

/// Changes ten users, and times the flush.
async fn flush_changed(em: &EntityManager, users: &[Managed<User>], iterations: u64) -> Duration {
    let mut total = Duration::ZERO;
    let step = users.len() / usize::try_from(TOUCHED).unwrap();
    for _ in 0..iterations {
        for user in users.iter().step_by(step) {
            user.write().age ^= 1;
        }
        let start = Instant::now();
        let summary = em.flush().await.unwrap();
        total += start.elapsed();
        assert_eq!(summary.updated, TOUCHED);
    }
    total
}

/// Runs the benchmarks that are asked for, with this many users in the large identity map. A trial measures nothing and
/// prints nothing.
pub fn run(runtime: &Runtime, stage: &Stage, asked: &Asked, loaded: u64) {
    runtime.block_on(stage.fill(usize::try_from(loaded).unwrap()));
    // Names are looked at here: criterion's own command line takes no more than one.
    let mut criterion = Criterion::default();
    if asked.wants(FLUSH) {
        flush(&mut criterion, runtime, stage, asked, loaded);
    }
    if asked.wants(KNOWN) {
        find_known(&mut criterion, runtime, stage, asked, loaded);
    }
    if asked.measures {
        criterion.final_summary();
        print_results(asked, loaded);
    }
}

fn flush(criterion: &mut Criterion, runtime: &Runtime, stage: &Stage, asked: &Asked, loaded: u64) {
    let mut group = criterion.benchmark_group(FLUSH);
    group.measurement_time(Duration::from_secs(6));
    for (name, count) in [("of 10 loaded", TOUCHED), ("of many loaded", loaded)] {
        let (em, users) = runtime.block_on(load(stage, count));
        if !asked.measures {
            runtime.block_on(flush_changed(&em, &users, 1));
            continue;
        }
        group.bench_function(name, |bencher| {
            bencher.to_async(runtime).iter_custom(|iterations| flush_changed(&em, &users, iterations));
        });
    }
    group.finish();
}

fn find_known(criterion: &mut Criterion, runtime: &Runtime, stage: &Stage, asked: &Asked, loaded: u64) {
    let (em, users) = runtime.block_on(load(stage, loaded));
    let ids: Vec<i64> = users.iter().map(Managed::id).collect();
    if !asked.measures {
        assert_eq!(runtime.block_on(em.find_one::<User>(ids[0], ())).unwrap().as_ref(), users.first());
        return;
    }
    let mut next = 0;
    criterion.bench_function(KNOWN, |bencher| {
        bencher.to_async(runtime).iter(|| {
            next = (next + 7919) % ids.len();
            em.find_one::<User>(ids[next], ())
        });
    });
}

fn print_results(asked: &Asked, loaded: u64) {
    // What was not asked for may be there from another day.
    if asked.wants(FLUSH)
        && let (Some(few), Some(many)) = (median(FLUSH, "of 10 loaded"), median(FLUSH, "of many loaded"))
    {
        let (few, many, ratio) = (few / 1e3, many / 1e3, many / few);
        println!("{FLUSH}: {few:.1} µs of 10 loaded, {many:.1} µs of {loaded} loaded, ratio {ratio:.2}");
    }
    if asked.wants(KNOWN)
        && let Some(known) = median(KNOWN, "")
    {
        println!("{KNOWN} among {loaded}: {known:.0} ns");
    }
}

/// The median of a benchmark in nanoseconds, as criterion has kept it.
fn median(group: &str, name: &str) -> Option<f64> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let path = Path::new(&target).join("criterion").join(group).join(name).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}
