//! What a managed entity takes of memory: how much the resident set of a process of its own grows when it loads users
//! and keeps them, beside a process that reads the same rows into plain structs.
//!
//! The resident set is what the system charges: it includes what the allocator adds, and the identity map.

use std::process::Command;

use tokio::runtime::Runtime;

use crate::load::load_users;
use crate::model::User;
use crate::stage::Stage;

pub const NAME: &str = "memory per entity";

/// Tells the process what it is for: the URL of the database, and the side.
const URL: &str = "HOWDAH_BENCH_MEMORY_URL";
const SIDE: &str = "HOWDAH_BENCH_MEMORY_SIDE";

/// Measures both sides.
pub fn run(runtime: &Runtime, stage: &Stage, users: usize) {
    runtime.block_on(stage.fill(users));
    let grown = ["plain", "managed"].map(|side| {
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program).env(URL, stage.url()).env(SIDE, side).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().ok()
    });
    match grown.map(|bytes| bytes.map(|bytes| bytes / users as f64)) {
        [Some(plain), Some(managed)] => {
            println!("{NAME}: {managed:.0} bytes, {plain:.0} of them as a plain struct has ({users} users)");
        }
        _ => println!("{NAME}: not known, there is no /proc/self/status"),
    }
}

/// If this process was started to be measured: loads the users, prints by how many bytes it has grown, and answers `true`.
pub fn is_measured_process(runtime: &Runtime) -> bool {
    let (Ok(url), Ok(side)) = (std::env::var(URL), std::env::var(SIDE)) else { return false };
    let grown = runtime.block_on(async {
        let stage = Stage::on(&url).await;
        let em = stage.orm.em();
        // What the first query needs is not of the entities.
        em.find::<User>().limit(1).await.unwrap();
        load_users(&stage, Some(1)).await;
        let before = resident();
        let (plain, managed) = match side.as_str() {
            "managed" => (Vec::new(), em.find::<User>().order_by(|u| u.id().asc()).await.unwrap()),
            _ => (load_users(&stage, None).await, Vec::new()),
        };
        let after = resident();
        assert!(plain.len() + managed.len() > 0);
        Some(after? - before?)
    });
    if let Some(grown) = grown {
        println!("{grown}");
    }
    true
}

/// The resident set of this process in bytes.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok()? * 1024)
}
