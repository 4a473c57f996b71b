//! howdah beside raw tokio-postgres: the same work, the same server, the same run.
//!
//! `./dev bench` runs it and prints a table of medians and ratios. The raw side is the best shape known: prepared
//! statements, arrays and `unnest`, `BEGIN` and `COMMIT` pipelined with the work.
#![allow(clippy::unwrap_used, missing_docs, missing_debug_implementations, reason = "a benchmark that fails panics")]

use std::cell::Cell;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::Criterion;
use futures_util::future::join3;
use futures_util::{TryStreamExt, pin_mut};
use howdah::prelude::*;
use howdah::testing::TestDatabase;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Row, Statement};

#[derive(Entity, Clone, Debug)]
#[entity(table = "users")]
pub struct User {
    #[primary_key]
    pub id: i64,
    pub name: String,
    pub email: String,
    pub age: i32,
    pub active: bool,
    pub created_at: DateTime<Utc>,
}

/// The struct that the raw side fills.
struct Plain {
    id: i64,
    name: String,
    email: String,
    age: i32,
    active: bool,
    created_at: DateTime<Utc>,
}

const COLUMNS: &str = "id, name, email, age, active, created_at";

fn plain(row: &Row) -> Plain {
    Plain {
        id: row.get(0),
        name: row.get(1),
        email: row.get(2),
        age: row.get(3),
        active: row.get(4),
        created_at: row.get(5),
    }
}

fn new_users(count: usize) -> Vec<NewUser> {
    let start = DateTime::from_timestamp(1_704_067_200, 0).unwrap();
    (0..count)
        .map(|number| NewUser {
            name: format!("User number {number}"),
            email: format!("user{number}@example.com"),
            age: 18 + i32::try_from(number % 60).unwrap(),
            active: number % 3 != 0,
            created_at: start + Duration::from_secs(number as u64),
        })
        .collect()
}

/// The raw side: a client and its prepared statements.
struct Raw {
    client: Client,
    load: Statement,
    find: Statement,
    insert: Statement,
}

impl Raw {
    async fn connect(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let load = client.prepare(&format!("SELECT {COLUMNS} FROM users ORDER BY id")).await.unwrap();
        let find = client.prepare(&format!("SELECT {COLUMNS} FROM users WHERE id = $1")).await.unwrap();
        let insert = "INSERT INTO users (name, email, age, active, created_at) \
                      SELECT * FROM unnest($1::text[], $2::text[], $3::int4[], $4::bool[], $5::timestamptz[]) RETURNING id";
        let insert = client.prepare(insert).await.unwrap();
        Self { client, load, find, insert }
    }

    async fn load(&self) -> Vec<Plain> {
        let rows = self.client.query_raw(&self.load, std::iter::empty::<i64>()).await.unwrap();
        pin_mut!(rows);
        let mut users = Vec::new();
        while let Some(row) = rows.try_next().await.unwrap() {
            users.push(plain(&row));
        }
        users
    }

    async fn find(&self, id: i64) -> Plain {
        plain(&self.client.query_one(&self.find, &[&id]).await.unwrap())
    }

    async fn insert(&self, users: Vec<NewUser>) -> Vec<i64> {
        let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
        let emails: Vec<&str> = users.iter().map(|user| user.email.as_str()).collect();
        let ages: Vec<i32> = users.iter().map(|user| user.age).collect();
        let active: Vec<bool> = users.iter().map(|user| user.active).collect();
        let created: Vec<DateTime<Utc>> = users.iter().map(|user| user.created_at).collect();
        let (begun, rows, committed) = join3(
            self.client.batch_execute("BEGIN"),
            self.client.query(&self.insert, &[&names, &emails, &ages, &active, &created]),
            self.client.batch_execute("COMMIT"),
        )
        .await;
        begun.unwrap();
        committed.unwrap();
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

async fn howdah_load(orm: &Orm) -> Vec<howdah::Managed<User>> {
    orm.em().find::<User>().order_by(|u| u.id().asc()).await.unwrap()
}

async fn howdah_insert(orm: &Orm, users: Vec<NewUser>) -> Vec<i64> {
    let em = orm.em();
    let users = em.persist(users);
    em.flush().await.unwrap();
    users.iter().map(howdah::Managed::id).collect()
}

/// Times `work` with data that `prepare` makes untimed.
async fn timed<T, R>(
    iterations: u64,
    mut prepare: impl AsyncFnMut() -> T,
    mut work: impl AsyncFnMut(T) -> R,
) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..iterations {
        let input = prepare().await;
        let start = Instant::now();
        let output = work(input).await;
        total += start.elapsed();
        drop(black_box(output));
    }
    total
}

fn load_10_000(criterion: &mut Criterion, runtime: &Runtime, orm: &Orm, raw: &Raw) {
    let mut group = criterion.benchmark_group("load 10 000 users");
    group.sample_size(60).measurement_time(Duration::from_secs(6));
    group.bench_function("raw", |bencher| {
        bencher.to_async(runtime).iter_custom(|n| timed(n, async || (), async |()| raw.load().await));
    });
    group.bench_function("howdah", |bencher| {
        bencher.to_async(runtime).iter_custom(|n| timed(n, async || (), async |()| howdah_load(orm).await));
    });
    group.finish();
}

fn find_by_key(criterion: &mut Criterion, runtime: &Runtime, orm: &Orm, raw: &Raw) {
    let mut group = criterion.benchmark_group("find by key");
    group.measurement_time(Duration::from_secs(6));
    let next = Cell::new(0);
    let id = || {
        next.set((next.get() + 7919) % 10_000);
        next.get() + 1
    };
    group.bench_function("raw", |bencher| {
        bencher.to_async(runtime).iter_custom(|n| timed(n, async || id(), async |id| raw.find(id).await));
    });
    group.bench_function("howdah", |bencher| {
        bencher.to_async(runtime).iter_custom(|n| {
            timed(n, async || id(), async |id| orm.em().find_one::<User>(id, ()).await.unwrap().unwrap())
        });
    });
    group.finish();
}

fn insert_1000(criterion: &mut Criterion, runtime: &Runtime, orm: &Orm, raw: &Raw) {
    let mut group = criterion.benchmark_group("insert 1000 users");
    group.sample_size(60).measurement_time(Duration::from_secs(6));
    let fresh = async || {
        raw.client.batch_execute("TRUNCATE users RESTART IDENTITY").await.unwrap();
        new_users(1000)
    };
    group.bench_function("raw", |bencher| {
        bencher.to_async(runtime).iter_custom(|n| timed(n, fresh, async |users| raw.insert(users).await));
    });
    group.bench_function("howdah", |bencher| {
        bencher.to_async(runtime).iter_custom(|n| timed(n, fresh, async |users| howdah_insert(orm, users).await));
    });
    group.finish();
}

/// Both sides do the same: checked once, before anything is timed.
async fn check(orm: &Orm, raw: &Raw) {
    let loaded = howdah_load(orm).await;
    let plain = raw.load().await;
    assert_eq!((loaded.len(), plain.len()), (10_000, 10_000));
    for (one, two) in loaded.iter().zip(&plain) {
        let one = one.read();
        assert_eq!((one.id, &one.name, &one.email, one.age), (two.id, &two.name, &two.email, two.age));
        assert_eq!((one.active, one.created_at), (two.active, two.created_at));
    }
}

/// The median of a benchmark in nanoseconds, as criterion has kept it.
fn median(group: &str, side: &str) -> Option<f64> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let path = Path::new(&target).join("criterion").join(group).join(side).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

fn print_table() {
    println!("\n| work | raw tokio-postgres | howdah | ratio |\n|---|---:|---:|---:|");
    for group in ["load 10 000 users", "insert 1000 users", "find by key"] {
        if let (Some(raw), Some(howdah)) = (median(group, "raw"), median(group, "howdah")) {
            println!("| {group} | {:.1} µs | {:.1} µs | {:.2} |", raw / 1e3, howdah / 1e3, howdah / raw);
        }
    }
}

fn main() {
    // `cargo test --benches` runs every benchmark once, in which case there is nothing to measure.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (database, orm, raw) = runtime.block_on(async {
        let database = TestDatabase::new().await.unwrap();
        let orm = Orm::builder().url(database.url()).entities(entities![User]).connect().await.unwrap();
        orm.schema().create().await.unwrap();
        let raw = Raw::connect(database.url()).await;
        raw.insert(new_users(10_000)).await;
        database.execute("VACUUM ANALYZE users").await.unwrap();
        check(&orm, &raw).await;
        (database, orm, raw)
    });
    let mut criterion = Criterion::default().configure_from_args();
    load_10_000(&mut criterion, &runtime, &orm, &raw);
    find_by_key(&mut criterion, &runtime, &orm, &raw);
    insert_1000(&mut criterion, &runtime, &orm, &raw);
    criterion.final_summary();
    print_table();
    drop(database);
}
