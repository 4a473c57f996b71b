//! The library's side of the model test: handles whose entity type is not known before the story runs.

use howdah::EntityKey;
use howdah::prelude::*;

use super::schema::*;
use super::tables::{Relation, Table};

/// A handle to an entity of any table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handle {
    Folder(Managed<Folder>),
    Team(Managed<Team>),
    Person(Managed<Person>),
    Note(Managed<Note>),
    Badge(Managed<Badge>),
    Tag(Managed<Tag>),
    Seat(Managed<Seat>),
    Country(Managed<Country>),
    City(Managed<City>),
    Cushion(Managed<Cushion>),
}

/// Runs the same code for the handle of whatever type.
macro_rules! each {
    ($handle:expr, $name:ident => $body:expr) => {
        match $handle {
            $crate::model::handles::Handle::Folder($name) => $body,
            $crate::model::handles::Handle::Team($name) => $body,
            $crate::model::handles::Handle::Person($name) => $body,
            $crate::model::handles::Handle::Note($name) => $body,
            $crate::model::handles::Handle::Badge($name) => $body,
            $crate::model::handles::Handle::Tag($name) => $body,
            $crate::model::handles::Handle::Seat($name) => $body,
            $crate::model::handles::Handle::Country($name) => $body,
            $crate::model::handles::Handle::City($name) => $body,
            $crate::model::handles::Handle::Cushion($name) => $body,
        }
    };
}

/// Runs the same code for a table's entity type.
macro_rules! of_table {
    ($table:expr, $entity:ident => $body:expr) => {{
        use $crate::model::schema::*;
        use $crate::model::tables::Table;
        match $table {
            Table::Folder => {
                type $entity = Folder;
                $body
            }
            Table::Team => {
                type $entity = Team;
                $body
            }
            Table::Person => {
                type $entity = Person;
                $body
            }
            Table::Note => {
                type $entity = Note;
                $body
            }
            Table::Badge => {
                type $entity = Badge;
                $body
            }
            Table::Tag => {
                type $entity = Tag;
                $body
            }
            Table::Seat => {
                type $entity = Seat;
                $body
            }
            Table::Country => {
                type $entity = Country;
                $body
            }
            Table::City => {
                type $entity = City;
                $body
            }
            Table::Cushion => {
                type $entity = Cushion;
                $body
            }
        }
    }};
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Text(String),
    To(Handle),
    /// A reference to a row that is not in memory.
    ToKey(Table, String),
}

/// An entity type of the model.
pub trait Record: Entity + std::fmt::Debug {
    const TABLE: Table;

    fn wrap(handle: Managed<Self>) -> Handle;

    fn unwrap(handle: &Handle) -> &Managed<Self>;

    /// The columns that the model knows.
    fn cells(&self) -> Vec<Cell>;

    fn assign(&mut self, column: usize, cell: Cell);
}

/// A field's type.
trait Field {
    fn show(&self) -> Cell;

    fn take(&mut self, cell: Cell);
}

impl Field for i32 {
    fn show(&self) -> Cell {
        Cell::Int((*self).into())
    }

    fn take(&mut self, cell: Cell) {
        let Cell::Int(value) = cell else { panic!("{cell:?} is no number") };
        *self = value.try_into().unwrap();
    }
}

impl Field for String {
    fn show(&self) -> Cell {
        Cell::Text(self.clone())
    }

    fn take(&mut self, cell: Cell) {
        let Cell::Text(value) = cell else { panic!("{cell:?} is no text") };
        *self = value;
    }
}

impl<T: Record> Field for Ref<T> {
    fn show(&self) -> Cell {
        match self.get() {
            Ok(handle) => Cell::To(T::wrap(handle)),
            Err(_) => {
                let key = self.try_id().map(|id| id.to_key().to_string());
                Cell::ToKey(T::TABLE, key.unwrap_or_else(|_| "nobody".to_owned()))
            }
        }
    }

    fn take(&mut self, cell: Cell) {
        let Cell::To(target) = cell else { panic!("{cell:?} is no entity") };
        *self = T::unwrap(&target).to_ref();
    }
}

macro_rules! nullable_field {
    ($([$($generic:tt)*] $type:ty: $default:expr;)*) => {$(
        impl $($generic)* Field for Option<$type> {
            fn show(&self) -> Cell {
                self.as_ref().map_or(Cell::Null, Field::show)
            }

            fn take(&mut self, cell: Cell) {
                *self = match cell {
                    Cell::Null => None,
                    cell => {
                        let mut value: $type = $default(&cell);
                        value.take(cell);
                        Some(value)
                    }
                };
            }
        }
    )*};
}

nullable_field! {
    [] i32: |_: &Cell| 0;
    [] String: |_: &Cell| String::new();
    [<T: Record>] Ref<T>: |cell: &Cell| match cell {
        Cell::To(target) => T::unwrap(target).to_ref(),
        cell => panic!("{cell:?} is no entity"),
    };
}

macro_rules! record {
    ($($entity:ident { $($field:ident),* })*) => {$(
        impl Record for $entity {
            const TABLE: Table = Table::$entity;

            fn wrap(handle: Managed<Self>) -> Handle {
                Handle::$entity(handle)
            }

            fn unwrap(handle: &Handle) -> &Managed<Self> {
                match handle {
                    Handle::$entity(handle) => handle,
                    handle => panic!("{handle:?} is no {}", stringify!($entity)),
                }
            }

            fn cells(&self) -> Vec<Cell> {
                vec![$(self.$field.show()),*]
            }

            fn assign(&mut self, column: usize, cell: Cell) {
                let fields = [$(&mut self.$field as &mut dyn Field),*];
                fields.into_iter().nth(column).unwrap().take(cell);
            }
        }
    )*};
}

record! {
    Folder { title, code, version, parent }
    Team { region, number, lead }
    Person { name, email, age, version, team }
    Note { text, stars, person }
    Badge { color, person }
    Tag { name }
    Seat { team, number, label, occupant }
    Country { name, capital }
    City { name, country }
    Cushion { seat, layer, color, beside }
}

/// Makes an entity of its cells; optional ones are set as a program sets them, on the handle.
pub fn create(em: &EntityManager, table: Table, cells: &[Cell]) -> Handle {
    let text = |column: usize| match &cells[column] {
        Cell::Text(text) => text.clone(),
        cell => panic!("{cell:?} is no text"),
    };
    let number = |column: usize| match &cells[column] {
        Cell::Int(number) => i32::try_from(*number).unwrap(),
        cell => panic!("{cell:?} is no number"),
    };
    let handle = match table {
        Table::Folder => Folder::wrap(em.create(NewFolder { title: text(0) })),
        Table::Team => Team::wrap(em.create(NewTeam { region: text(0), number: number(1) })),
        Table::Person => Person::wrap(em.create(NewPerson { name: text(0), age: number(2) })),
        Table::Note => Note::wrap(em.create(NewNote { text: text(0), person: reference(&cells[2]) })),
        Table::Badge => Badge::wrap(em.create(NewBadge { color: text(0) })),
        Table::Tag => Tag::wrap(em.create(NewTag { name: text(0) })),
        Table::Seat => Seat::wrap(em.create(NewSeat { team: reference(&cells[0]), number: number(1), label: text(2) })),
        Table::Cushion => {
            Cushion::wrap(em.create(NewCushion { seat: reference(&cells[0]), layer: number(1), color: text(2) }))
        }
        Table::Country => Country::wrap(em.create(NewCountry { name: text(0), capital: reference(&cells[1]) })),
        Table::City => City::wrap(em.create(NewCity { name: text(0), country: reference(&cells[1]) })),
    };
    for (column, cell) in cells.iter().enumerate() {
        if *cell != Cell::Null && handle.cells()[column] != *cell {
            handle.assign(column, cell.clone());
        }
    }
    handle
}

fn reference<T: Record>(cell: &Cell) -> Ref<T> {
    match cell {
        Cell::To(target) => T::unwrap(target).to_ref(),
        cell => panic!("{cell:?} is no entity"),
    }
}

/// A country and its capital, neither of which can be without the other.
pub fn create_country(em: &EntityManager, names: [String; 2]) -> [Handle; 2] {
    let [name, capital] = names;
    let id = Uuid::now_v7();
    let country = em.create(NewCountry { name, capital: em.get_reference::<City>(id) });
    let city = em.create(NewCity { name: capital, country: country.to_ref() }.with(|city| city.id = id));
    country.write().capital = city.to_ref();
    [Country::wrap(country), City::wrap(city)]
}

impl Handle {
    pub fn table(&self) -> Table {
        fn table<T: Record>(_: &Managed<T>) -> Table {
            T::TABLE
        }
        each!(self, handle => table(handle))
    }

    pub fn cells(&self) -> Vec<Cell> {
        each!(self, handle => handle.read().cells())
    }

    pub fn assign(&self, column: usize, cell: Cell) {
        each!(self, handle => handle.write().assign(column, cell));
    }

    pub fn state(&self) -> EntityState {
        each!(self, handle => handle.state())
    }

    pub fn key(&self) -> Option<String> {
        each!(self, handle => handle.key()).map(|key| key.to_string())
    }

    /// The key that the entity has, or had.
    pub fn id(&self) -> String {
        fn id<T: Entity>(handle: &Managed<T>) -> String {
            handle.id().to_key().to_string()
        }
        each!(self, handle => id(handle))
    }

    pub fn is_dirty(&self) -> bool {
        each!(self, handle => handle.is_dirty())
    }

    /// Everything that can be seen of the entity.
    pub fn shown(&self) -> String {
        each!(self, handle => format!(
            "{:?} key {:?} dirty {} changes {:?} {:?}",
            handle.state(), handle.key(), handle.is_dirty(), handle.changes(), &*handle.read()
        ))
    }

    pub fn persist(&self, em: &EntityManager) {
        each!(self, handle => { em.persist(handle); });
    }

    pub fn remove(&self, em: &EntityManager) {
        each!(self, handle => em.remove(handle));
    }

    pub async fn refresh(&self, em: &EntityManager) -> Result<(), Error> {
        each!(self, handle => em.refresh(handle).await)
    }

    pub async fn populate(&self, em: &EntityManager, relation: Relation) -> Result<(), Error> {
        each!(self, handle => em.populate(handle, relation.name()).await)
    }

    /// Adds to a relation, or takes out; a one-to-one is set, or emptied.
    pub fn claim(&self, relation: Relation, item: &Self, add: bool) {
        macro_rules! collection {
            ($owner:expr, $field:ident, $item:expr) => {
                if add { $owner.write().$field.add($item) } else { $owner.write().$field.remove($item) }
            };
        }
        match (relation, self, item) {
            (Relation::Children, Self::Folder(owner), Self::Folder(item)) => collection!(owner, children, item),
            (Relation::Members, Self::Team(owner), Self::Person(item)) => collection!(owner, members, item),
            (Relation::Notes, Self::Person(owner), Self::Note(item)) => collection!(owner, notes, item),
            (Relation::Tags, Self::Person(owner), Self::Tag(item)) => collection!(owner, tags, item),
            (Relation::People, Self::Tag(owner), Self::Person(item)) => collection!(owner, people, item),
            (Relation::Badge, Self::Person(owner), Self::Badge(item)) => {
                owner.write().badge = add.then(|| item.to_ref());
            }
            (relation, owner, item) => panic!("{owner:?} has no {relation:?} like {item:?}"),
        }
    }

    /// What a relation holds; `None` if that is not known.
    pub fn items(&self, relation: Relation) -> Option<Vec<Cell>> {
        fn handles<T: Record>(items: &Collection<T>) -> Option<Vec<Cell>> {
            Some(items.items().ok()?.into_iter().map(|item| Cell::To(T::wrap(item))).collect())
        }
        match (relation, self) {
            (Relation::Children, Self::Folder(owner)) => handles(&owner.read().children),
            (Relation::Members, Self::Team(owner)) => handles(&owner.read().members),
            (Relation::Notes, Self::Person(owner)) => handles(&owner.read().notes),
            (Relation::Tags, Self::Person(owner)) => handles(&owner.read().tags),
            (Relation::People, Self::Tag(owner)) => handles(&owner.read().people),
            (Relation::Badge, Self::Person(owner)) => Some(owner.read().badge.iter().map(Field::show).collect()),
            (relation, owner) => panic!("{owner:?} has no {relation:?}"),
        }
    }
}

/// All entities of a table.
pub async fn find_all(em: &EntityManager, table: Table) -> Result<Vec<Handle>, Error> {
    async fn find<T: Record>(em: &EntityManager) -> Result<Vec<Handle>, Error> {
        Ok(em.find_all::<T>().await?.into_iter().map(T::wrap).collect())
    }
    of_table!(table, T => find::<T>(em).await)
}
