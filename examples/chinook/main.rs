//! The Chinook database, with data that nobody here wrote: eleven tables as entities, and questions to them whose answers are
//! checked in SQL.
//!
//! ```sh
//! cargo run --example chinook --features testing -- path/to/Chinook_PostgreSql_AutoIncrementPKs.sql
//! ```

pub mod analysis;
pub mod entities;
pub mod playlist;
pub mod reports;
pub mod script;

use howdah::prelude::*;
use howdah::testing::TestDatabase;

use script::Missing;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = match script::find(std::env::args_os().nth(1).map(Into::into)) {
        Ok(path) => path,
        Err(missing @ Missing::Default(_)) => {
            println!("nothing to show: {missing}");
            return Ok(());
        }
        Err(missing) => return Err(missing.to_string().into()),
    };
    println!("loading {}\n", path.display());
    let database = TestDatabase::new().await?;
    database.execute(&script::read(&path)?).await?;
    let orm = Orm::builder().url(database.url()).entities(entities::chinook()).connect().await?;

    let mut reports = reports::all(&orm.em()).await?;
    reports.extend(analysis::all(&orm.em()).await?);
    for (number, report) in reports.iter().enumerate() {
        println!("{}. {}\n{}\n", number + 1, report.title, indented(report.sql.lines()));
        println!("{}\n", indented(report.rows.iter().map(String::as_str)));
        check(&report.rows, &rows(&database, report.sql).await?)?;
    }

    println!("a playlist is edited\n{}\n", indented(playlist::SQL.lines()));
    println!("  before:\n{}\n", indented(rows(&database, playlist::SQL).await?.iter().map(String::as_str)));
    let (summary, tracks) = playlist::edit(&orm.em()).await?;
    println!("  after {} statements:\n{}\n", summary.statements, indented(tracks.iter().map(String::as_str)));
    check(&tracks, &rows(&database, playlist::SQL).await?)?;

    println!("SQL has answered all questions the same.");
    Ok(())
}

/// The rows of a query as the reports print theirs.
async fn rows(database: &TestDatabase, sql: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let rows = database.query(sql).await?;
    let row = |row: Vec<Option<String>>| {
        let values: Vec<String> = row.into_iter().map(|value| value.unwrap_or_else(|| "~".to_owned())).collect();
        values.join("|")
    };
    Ok(rows.into_iter().map(row).collect())
}

fn check(rows: &[String], expected: &[String]) -> Result<(), String> {
    if rows == expected { Ok(()) } else { Err(format!("SQL answers otherwise: {expected:#?}")) }
}

fn indented<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
