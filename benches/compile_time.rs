//! What entities cost to compile: a crate of 100 of them, beside the same crate of plain structs, and the same model of
//! other ORMs.
//!
//! `./dev bench` runs it and prints a table. The crates are generated under the target directory and depend on the ORMs as
//! a user's do. Their dependencies are built first, untimed, and stay there for the next run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that fails panics")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proc_macro2::{TokenStream, TokenTree};

const STRUCTS: usize = 100;
const RUNS: usize = 3;

/// A model in the form of one library.
struct Model {
    name: &'static str,
    /// The library whose dependencies are built.
    library: &'static str,
    /// The lines of the manifest.
    dependencies: String,
    /// What stands in front of the entities.
    head: &'static str,
    /// One entity: its number, and those of the entities that it refers to and is referred by.
    entity: fn(usize, usize, usize) -> String,
    /// What a program does with it: an insert, a find by key, a query, an update.
    usage: fn(usize) -> String,
}

impl Model {
    fn source(&self, is_used: bool) -> String {
        let mut source = self.head.to_owned();
        for this in 0..STRUCTS {
            source += &(self.entity)(this, (this + 1) % STRUCTS, (this + STRUCTS - 1) % STRUCTS);
            if is_used {
                source += &(self.usage)(this);
            }
        }
        source
    }
}

fn howdah_dependency() -> String {
    format!("howdah = {{ path = {:?} }}\n", env!("CARGO_MANIFEST_DIR"))
}

/// Keys take the place of relations.
fn plain() -> Model {
    let entity = |this, _, _| {
        format!(
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
    };
    Model {
        name: "plain structs",
        library: "howdah",
        dependencies: howdah_dependency(),
        head: "use howdah::prelude::{DateTime, Utc, Uuid};\n",
        entity,
        usage: |_| String::new(),
    }
}

/// Ten properties of the types that users have: a relation to the next entity and the inverse of the one before.
fn howdah() -> Model {
    let entity = |this, next, previous| {
        format!(
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
    };
    let usage = |this| {
        format!(
            "
pub async fn use_{this}(em: &EntityManager) -> Result<usize, howdah::Error> {{
    let new = em.persist(NewEntity{this} {{
        name: String::new(), count: 1, active: true, created_at: Utc::now(), weight: 1.0, token: Uuid::nil(),
    }});
    em.flush().await?;
    let found = em.find_one::<Entity{this}>(1, ()).await?;
    let query = em.find::<Entity{this}>().filter(|e| e.name().eq(\"name\")).order_by(|e| e.id().asc());
    let all = query.limit(10).await?;
    new.write().count = 2;
    em.flush().await?;
    Ok(all.len() + usize::from(found.is_some()))
}}
"
        )
    };
    Model {
        name: "howdah",
        library: "howdah",
        dependencies: howdah_dependency(),
        head: "use howdah::prelude::*;\n",
        entity,
        usage,
    }
}

fn sea_orm() -> Model {
    let entity = |this, next, previous| {
        format!(
            "
pub mod entity{this} {{
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = \"entity{this}\")]
    pub struct Model {{
        #[sea_orm(primary_key)]
        pub id: i64,
        pub name: String,
        pub comment: Option<String>,
        pub count: i32,
        pub active: bool,
        pub created_at: DateTimeUtc,
        pub weight: f64,
        pub token: Uuid,
        pub next_id: Option<i64>,
    }}

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {{
        #[sea_orm(
            belongs_to = \"super::entity{next}::Entity\",
            from = \"Column::NextId\",
            to = \"super::entity{next}::Column::Id\"
        )]
        Next,
        #[sea_orm(has_many = \"super::entity{previous}::Entity\")]
        Previous,
    }}

    impl Related<super::entity{next}::Entity> for Entity {{
        fn to() -> RelationDef {{
            Relation::Next.def()
        }}
    }}

    impl Related<super::entity{previous}::Entity> for Entity {{
        fn to() -> RelationDef {{
            Relation::Previous.def()
        }}
    }}

    impl ActiveModelBehavior for ActiveModel {{}}
}}
"
        )
    };
    let usage = |this| {
        format!(
            "
pub async fn use_{this}(db: &DatabaseConnection) -> Result<usize, DbErr> {{
    use entity{this}::*;
    let new = ActiveModel {{
        name: Set(String::new()), count: Set(1), active: Set(true), created_at: Set(chrono::Utc::now()),
        weight: Set(1.0), token: Set(prelude::Uuid::nil()), ..Default::default()
    }};
    let new = new.insert(db).await?;
    let found = Entity::find_by_id(1).one(db).await?;
    let query = Entity::find().filter(Column::Name.eq(\"name\")).order_by_asc(Column::Id);
    let all = query.limit(10).all(db).await?;
    let mut new = new.into_active_model();
    new.count = Set(2);
    new.update(db).await?;
    Ok(all.len() + usize::from(found.is_some()))
}}
"
        )
    };
    let features = "default-features = false, features = [\"macros\", \"with-chrono\", \"with-uuid\"]";
    Model {
        name: "sea-orm",
        library: "sea-orm",
        dependencies: format!("sea-orm = {{ version = \"2\", {features} }}\nchrono = \"0.4\"\n"),
        head: "use sea_orm::entity::*;\nuse sea_orm::query::*;\nuse sea_orm::{DatabaseConnection, DbErr, Set};\n",
        entity,
        usage,
    }
}

fn diesel() -> Model {
    let entity = |this, next, _| {
        format!(
            "
diesel::table! {{
    entity{this} (id) {{
        id -> Int8,
        name -> Text,
        comment -> Nullable<Text>,
        count -> Int4,
        active -> Bool,
        created_at -> Timestamptz,
        weight -> Float8,
        token -> Uuid,
        next_id -> Nullable<Int8>,
    }}
}}
diesel::joinable!(entity{this} -> entity{next} (next_id));
diesel::allow_tables_to_appear_in_same_query!(entity{this}, entity{next});

#[derive(Queryable, Selectable, Identifiable, Associations, AsChangeset, Clone, Debug)]
#[diesel(table_name = entity{this}, belongs_to(Entity{next}, foreign_key = next_id))]
pub struct Entity{this} {{
    pub id: i64,
    pub name: String,
    pub comment: Option<String>,
    pub count: i32,
    pub active: bool,
    pub created_at: chrono::DateTime<chrono::Utc>,
    pub weight: f64,
    pub token: uuid::Uuid,
    pub next_id: Option<i64>,
}}

#[derive(Insertable, Clone, Debug)]
#[diesel(table_name = entity{this})]
pub struct NewEntity{this} {{
    pub name: String,
    pub comment: Option<String>,
    pub count: i32,
    pub active: bool,
    pub created_at: chrono::DateTime<chrono::Utc>,
    pub weight: f64,
    pub token: uuid::Uuid,
    pub next_id: Option<i64>,
}}
"
        )
    };
    let usage = |this| {
        format!(
            "
pub async fn use_{this}(connection: &mut AsyncPgConnection) -> QueryResult<usize> {{
    let new = NewEntity{this} {{
        name: String::new(), comment: None, count: 1, active: true, created_at: chrono::Utc::now(), weight: 1.0,
        token: uuid::Uuid::nil(), next_id: None,
    }};
    let insert = diesel::insert_into(entity{this}::table).values(new).returning(Entity{this}::as_returning());
    let mut new = insert.get_result(connection).await?;
    let found = entity{this}::table.find(1).select(Entity{this}::as_select()).first(connection).await.optional()?;
    let query = entity{this}::table.filter(entity{this}::name.eq(\"name\")).order_by(entity{this}::id.asc());
    let all = query.limit(10).select(Entity{this}::as_select()).load(connection).await?;
    new.count = 2;
    diesel::update(entity{this}::table.find(new.id)).set(&new).execute(connection).await?;
    Ok(all.len() + usize::from(found.is_some()))
}}
"
        )
    };
    let features = "default-features = false, features = [\"postgres_backend\", \"chrono\", \"uuid\"]";
    let asynchronous = "diesel-async = { version = \"0.9\", features = [\"postgres\"] }";
    Model {
        name: "diesel",
        library: "diesel",
        dependencies: format!(
            "diesel = {{ version = \"2\", {features} }}\n{asynchronous}\nchrono = \"0.4\"\nuuid = \"1\"\n"
        ),
        head: "use diesel::prelude::*;\nuse diesel_async::{AsyncPgConnection, RunQueryDsl};\n",
        entity,
        usage,
    }
}

/// A generated crate.
struct Crate {
    directory: PathBuf,
    targets: PathBuf,
}

impl Crate {
    fn new(model: &Model) -> Self {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_time");
        let directory = all.join(model.name.replace(' ', "_"));
        let targets = all.join("targets").join(model.library);
        fs::create_dir_all(directory.join("src")).unwrap();
        // A workspace of its own: the target directory may be in one.
        let manifest = format!(
            "[workspace]\n\n[package]\nname = \"generated\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\n{}",
            model.dependencies
        );
        fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        let lock = directory.join("Cargo.lock");
        if !lock.exists() {
            // The versions that howdah itself is tested with, which are already downloaded.
            fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"), lock).unwrap();
        }
        Self { directory, targets }
    }

    fn write(&self, source: &str) {
        fs::write(self.directory.join("src/lib.rs"), source).unwrap();
    }

    /// `cargo` with a target directory of that name.
    fn cargo(&self, target: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).arg("--quiet").arg("--target-dir").arg(self.targets.join(target));
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

fn print_row(name: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    println!("| {name} | {} |", cells.join(" | "));
}

fn models() -> [Model; 4] {
    [plain(), howdah(), sea_orm(), diesel()]
}

fn measure() {
    let crates = models().map(|model| (Crate::new(&model), model));
    for (generated, model) in &crates {
        println!("compiling the dependencies of {STRUCTS} entities of {}", model.name);
        generated.write("");
        generated.run("check");
        generated.run("build");
    }
    println!();
    print_row(&format!("{STRUCTS} structs of 10 fields"), crates.iter().map(|(_, model)| model.name.to_owned()));
    println!("|---|---:|---:|---:|---:|");
    for (verb, is_used) in [("check", false), ("build", false), ("build", true)] {
        let name = if is_used { format!("`cargo {verb}`, used") } else { format!("`cargo {verb}`") };
        let seconds = |(generated, model): &(Crate, Model)| {
            format!("{:.2} s", generated.time(verb, &model.source(is_used)).as_secs_f64())
        };
        print_row(&name, crates.iter().map(seconds));
    }
    let tokens = |(generated, model): &(Crate, Model)| {
        let tokens = generated.generated_tokens(&model.source(false));
        tokens.map_or_else(|| "not shown by the compiler".to_owned(), |tokens| tokens.to_string())
    };
    print_row("tokens that the derives generate", crates.iter().map(tokens));
}

/// What every mode checks: that what would be compiled and counted is what it should be.
fn check() {
    assert_eq!(count_tokens("fn one() -> u8 { 1 }"), Some(10));
    for model in models() {
        let source = model.source(true);
        assert!(source.matches("pub struct").count() >= STRUCTS, "{}", model.name);
        assert!(source.matches("    pub ").count() >= 9 * STRUCTS, "{}", model.name);
        assert!(count_tokens(&source).is_some(), "{}", model.name);
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
