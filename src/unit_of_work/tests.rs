//! Plans without a database (rule C1): entities in, statements out.

use std::sync::Arc;

use insta::assert_snapshot;

use super::plan::PlannedStatement;
use super::{CommitOrder, KeyFacts, Plan, UnitOfWork, collect, plan};
use crate::entity::IntoEntity;
use crate::error::Error;
use crate::metadata::{Lifecycle, Metadata, UnderscoreNamingStrategy};
use crate::prelude::*;
use crate::types::{EntityKey, Key};

#[derive(Entity, Clone, Debug)]
struct Author {
    #[primary_key]
    id: i64,
    name: String,
    born: Option<i32>,
    #[one_to_many(mapped_by = author, cascade(persist, remove), orphan_removal)]
    books: Collection<Book>,
    #[many_to_one]
    mentor: Option<Ref<Author>>,
}

#[derive(Entity, Clone, Debug)]
struct Book {
    #[primary_key]
    id: Uuid,
    title: String,
    #[property(default_sql = "now()")]
    printed_at: DateTime<Utc>,
    #[property(on_update = 1)]
    edits: Option<i32>,
    #[version]
    version: i32,
    #[many_to_one(inversed_by = books)]
    author: Ref<Author>,
    #[many_to_many]
    tags: Collection<Tag>,
}

#[derive(Entity, Clone, Debug)]
struct Tag {
    #[primary_key]
    name: String,
}

/// What is known of the keys of all entities.
struct Facts {
    can_take: bool,
}

impl KeyFacts for Facts {
    fn can_take(&self, _: usize) -> bool {
        self.can_take
    }

    fn is_ordered(&self, _: usize) -> bool {
        true
    }
}

/// A unit of work that has never seen a connection.
struct Desk {
    graph: Arc<UnitOfWork>,
    order: CommitOrder,
}

impl Desk {
    fn new() -> Self {
        let listed = entities![Author, Book, Tag].to_vec();
        let metadata = Metadata::resolve(Some(listed), Box::new(UnderscoreNamingStrategy)).unwrap();
        let order = CommitOrder::of(&metadata);
        Self { graph: UnitOfWork::new(Arc::new(metadata), Arc::default()), order }
    }

    fn create<N: IntoEntity>(&self, value: N) -> Managed<N::Entity> {
        let cell = self.graph.create(value.into_entity());
        Managed { cell, graph: Arc::clone(&self.graph) as Arc<dyn crate::metadata::Graph> }
    }

    fn persist<N: IntoEntity>(&self, value: N) -> Managed<N::Entity> {
        let handle = self.create(value);
        self.graph.schedule(&handle.any());
        handle
    }

    /// An entity as if it had been read from a row.
    fn loaded<T: Entity + IntoEntity<Entity = T>>(&self, value: T, key: Key) -> Managed<T> {
        let handle = self.create(value);
        let cell = handle.any();
        cell.set_key(Some(key));
        cell.set_lifecycle(Lifecycle::Managed);
        self.graph.remember(&cell);
        handle
    }

    fn author(&self, id: i64) -> Managed<Author> {
        self.loaded(NewAuthor { name: format!("a{id}") }.with(|author| author.id = id), id.to_key())
    }

    fn remove<T: Entity>(&self, handle: &Managed<T>) {
        self.graph.schedule_removal(&handle.any());
    }

    fn plan(&self) -> Result<String, Error> {
        self.plan_if(true)
    }

    /// The plan, where keys can be taken beforehand or not.
    fn plan_if(&self, can_take: bool) -> Result<String, Error> {
        let changes = collect(&self.graph, 1)?;
        let plan = plan(&self.graph.metadata, &self.order, &changes, &Facts { can_take })?;
        Ok(self.describe(&plan))
    }

    fn describe(&self, plan: &Plan) -> String {
        let taken = plan.allocations.iter().map(|allocation| {
            format!("take keys of {} x{}", self.graph.metadata.entities[allocation.entity].table, allocation.rows.len())
        });
        let lines = plan.statements.iter().map(|statement| self.describe_one(statement));
        taken.chain(lines).collect::<Vec<_>>().join("\n")
    }

    fn describe_one(&self, statement: &PlannedStatement) -> String {
        match statement {
            PlannedStatement::Insert { entity, properties, returning, rows, makes_keys } => {
                let key = if *makes_keys { "key" } else { "" };
                let made = [key, &self.names(*entity, returning)].concat();
                let made = if made.is_empty() { made } else { format!(" making {made}") };
                format!("insert {}{made}", self.rows(*entity, properties, rows))
            }
            PlannedStatement::Update { entity, properties, rows } => {
                format!("update {}", self.rows(*entity, properties, rows))
            }
            PlannedStatement::Delete { entity, rows } => format!("delete {}", self.rows(*entity, &[], rows)),
            PlannedStatement::DeleteRows { removal } => format!("delete rows {removal}"),
            PlannedStatement::Link { link } => format!("link {link}"),
            PlannedStatement::Place { link } => format!("place {link}"),
            PlannedStatement::Unlink { link } => format!("unlink {link}"),
            PlannedStatement::Clear { clear } => format!("clear {clear}"),
            PlannedStatement::Park { entity, properties, rows } => {
                format!("park {}", self.rows(*entity, properties, rows))
            }
            PlannedStatement::Advance { entity, properties, rows } => {
                format!("advance {}", self.rows(*entity, properties, rows))
            }
            PlannedStatement::ReadBack { entity, properties, rows } => {
                format!("read back {}", self.rows(*entity, properties, rows))
            }
            PlannedStatement::Together { parts } => {
                let parts = parts.iter().map(|part| self.describe_one(part));
                format!("together ({})", parts.collect::<Vec<_>>().join(", "))
            }
            PlannedStatement::Constraints { names, deferred, .. } => format!("defer {} {deferred}", names.join(" ")),
        }
    }

    fn names(&self, entity: usize, properties: &[u16]) -> String {
        let entity = &self.graph.metadata.entities[entity];
        let names = properties.iter().map(|property| entity.property_name(usize::from(*property)));
        names.collect::<Vec<_>>().join(" ")
    }

    fn rows(&self, entity: usize, properties: &[u16], rows: &[usize]) -> String {
        let table = &self.graph.metadata.entities[entity].table;
        format!("{table}({}) x{}", self.names(entity, properties), rows.len())
    }
}

#[test]
fn c6_parents_first_one_statement_a_column_set() {
    let desk = Desk::new();
    let authors: Vec<_> = (0..10).map(|i| desk.create(NewAuthor { name: i.to_string() })).collect();
    for (index, author) in authors.iter().enumerate() {
        let book = desk.persist(NewBook { title: "t".into(), author: author.to_ref() });
        if index == 0 {
            book.write().printed_at = Utc::now();
            book.write().tags.add(desk.create(NewTag { name: "rome".into() }));
        }
    }
    assert_snapshot!(desk.plan().unwrap(), @r"
    take keys of author x10
    insert author(id name born mentor) x10
    insert book(id title printed_at edits version author) x1
    insert book(id title edits version author) x9 making printed_at
    insert tag(name) x1
    link 0
    ");
}

/// A root, two twigs, a leaf on the first: persisted children first.
fn tree(desk: &Desk) -> (Managed<Author>, Managed<Author>) {
    let leaf = desk.persist(NewAuthor { name: "leaf".into() });
    let twigs = ["one", "two"].map(|name| desk.create(NewAuthor { name: name.into() }));
    let root = desk.create(NewAuthor { name: "root".into() });
    leaf.write().mentor = Some(twigs[0].to_ref());
    for twig in &twigs {
        twig.write().mentor = Some(root.to_ref());
        desk.graph.schedule(&twig.any());
    }
    (root, leaf)
}

#[test]
fn c7_a_tree_is_one_insert() {
    let desk = Desk::new();
    let (root, leaf) = tree(&desk);
    let plan = "take keys of author x4\ninsert author(id name born mentor) x4";
    assert_eq!(desk.plan().unwrap(), plan);
    // A circle of rows needs no nullable column, and nothing else.
    root.write().mentor = Some(leaf.to_ref());
    assert_eq!(desk.plan().unwrap(), plan);
}

#[test]
fn c2_without_keys_beforehand_a_tree_goes_level_by_level() {
    let desk = Desk::new();
    let (root, leaf) = tree(&desk);
    assert_snapshot!(desk.plan_if(false).unwrap(), @r"
    insert author(name born mentor) x1 making key
    insert author(name born mentor) x2 making key
    insert author(name born mentor) x1 making key
    ");
    root.write().mentor = Some(leaf.to_ref());
    // One of the circle, the first that was persisted, gets its mentor when all are there.
    assert_snapshot!(desk.plan_if(false).unwrap(), @r"
    insert author(name born) x1 making key
    insert author(name born mentor) x1 making key
    insert author(name born mentor) x2 making key
    advance author(mentor) x1
    ");
}

#[test]
fn c1_an_update_names_what_changed_and_deletes_come_last() {
    let desk = Desk::new();
    let [one, two, three] = [1, 2, 3].map(|id| desk.author(id));
    let id = Uuid::now_v7();
    let book = NewBook { title: "t".into(), author: two.to_ref() }.with(|book| book.id = id);
    let book = desk.loaded(book, id.to_key());
    one.write().name = "changed".into();
    two.write().name = "a2".into();
    book.write().author = one.to_ref();
    desk.remove(&three);
    desk.persist(NewTag { name: "rome".into() });
    assert_snapshot!(desk.plan().unwrap(), @r"
    insert tag(name) x1
    update author(name) x1
    update book(edits author) x1
    delete author() x1
    ");

    // Planning changes nothing: it can be repeated, and nothing is published.
    assert_eq!(desk.plan().unwrap(), desk.plan().unwrap());
    assert_eq!(book.read().edits, None);
    assert_eq!((three.state(), book.read().version), (EntityState::Removed, 1));
}

#[test]
fn c6_children_are_deleted_first_and_lose_their_links() {
    let desk = Desk::new();
    let author = desk.author(1);
    for _ in 0..2 {
        let id = Uuid::now_v7();
        let book = NewBook { title: "t".into(), author: author.to_ref() }.with(|book| book.id = id);
        let book = desk.loaded(book, id.to_key());
        author.write().books.add(&book);
    }
    desk.remove(&author);
    assert_snapshot!(desk.plan().unwrap(), @r"
    clear 0
    delete book() x2
    delete author() x1
    ");
}
