// Keys of every kind: made by the database, by `persist`, assigned, composite, and with relations as parts.
#![deny(warnings)]
use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
pub struct Country {
    #[primary_key]
    pub code: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Badge {
    #[primary_key(assigned)]
    pub number: i32,
}

#[derive(Entity, Clone, Debug)]
pub struct Ticket {
    #[primary_key(assigned)]
    pub id: Uuid,
}

#[derive(Entity, Clone, Debug)]
pub struct Playlist {
    #[primary_key]
    pub id: i64,
    #[one_to_many(mapped_by = playlist)]
    pub entries: Collection<Entry>,
}

#[derive(Entity, Clone, Debug)]
pub struct Entry {
    #[primary_key]
    #[many_to_one(inversed_by = entries)]
    pub playlist: Ref<Playlist>,
    #[primary_key]
    pub position: i32,
    pub title: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Note {
    #[one_to_one]
    #[primary_key]
    pub entry: Ref<Entry>,
    pub text: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Day {
    #[primary_key]
    pub date: NaiveDate,
    #[primary_key]
    pub raw: Vec<u8>,
}

fn id_of<E: Entity<Id = K>, K>() -> &'static howdah::EntityMeta {
    E::meta()
}

fn main() {
    id_of::<Country, String>();
    let badge = id_of::<Badge, i32>();
    assert!(!badge.properties[0].as_column().unwrap().identity);
    let ticket = id_of::<Ticket, Uuid>();
    assert!(!ticket.properties[0].as_column().unwrap().uuid_v7);
    let entry = id_of::<Entry, (i64, i32)>();
    assert!(entry.properties[0].primary && entry.properties[1].primary && !entry.properties[2].primary);
    assert!(!entry.properties[1].as_column().unwrap().identity);
    assert_eq!((entry.key_types)().len(), 2);
    id_of::<Note, (i64, i32)>();
    id_of::<Day, (NaiveDate, Vec<u8>)>();

    let _ = |playlist: Ref<Playlist>| NewEntry { playlist, position: 1, title: "Intro".into() };
    let _ = |entry: Ref<Entry>| NewNote { entry, text: "loud".into() };
    let _ = NewBadge { number: 7 }.with(|badge| badge.number += 1);
    let _ = Playlist::fields().entries().position();
}
