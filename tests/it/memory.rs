//! What streams in and out takes no more memory for a million rows than for a few: the kernel says what a process of its own
//! had resident at most.
#![cfg(target_os = "linux")]

use std::future::Future;
use std::process::Command;

use howdah::prelude::*;

use crate::support::Fixture;

#[derive(Entity, Clone, Debug)]
pub struct Entry {
    #[primary_key(assigned)]
    pub id: i64,
    pub text: String,
}

const ROWS: i64 = 1_000_000;

/// Less than half of what the rows take without their entities.
const LIMIT: u64 = 50_000_000;

fn rows() -> impl Iterator<Item = NewEntry> + Send {
    (0..ROWS).map(|id| NewEntry { id, text: "-".repeat(100) })
}

#[test]
fn a_million_rows_are_copied_in_and_streamed_out_in_less_than_fifty_megabytes() {
    let name = format!("{}::measured", module_path!().split_once("::").unwrap().1);
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", &name, "--ignored", "--nocapture"]).output().unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}{errors}");
    assert!(printed.contains("copied in with") && printed.contains("streamed with"), "it has run: {printed}{errors}");
}

#[test]
#[ignore = "measures the process: it has one of its own, which the other test starts"]
fn measured() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fixture = Fixture::new(entities![Entry]).await;
        let em = fixture.em();
        assert_eq!(em.count::<Entry>(()).await.unwrap(), 0);

        let (copied, more) = growth(em.copy_in::<Entry>(rows())).await;
        assert_eq!(copied.unwrap(), ROWS.unsigned_abs());
        println!("copied in with {more} bytes more");
        assert!(more < LIMIT, "{more} bytes more");

        let (sum, more) = growth(async {
            let (mut rows, mut sum) = (em.find::<Entry>().stream(), 0);
            while let Some(row) = rows.next().await {
                sum += row.unwrap().id();
            }
            sum
        })
        .await;
        assert_eq!(sum, ROWS * (ROWS - 1) / 2);
        println!("streamed with {more} bytes more");
        assert!(more < LIMIT, "{more} bytes more");
    });
}

/// How much more memory the process had resident while it did something, at most, than before.
async fn growth<T>(work: impl Future<Output = T>) -> (T, u64) {
    // The most there ever was counts from here. Where that is not allowed, what was before counts, too.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = resident("VmRSS:");
    let done = work.await;
    (done, resident("VmHWM:").saturating_sub(before))
}

/// A line of what the kernel says of the memory of this process, in bytes.
fn resident(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    found.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}
