//! Enums of every storage and visibility, beside serde, with names that mean something elsewhere.
#![deny(missing_docs, warnings, unused, unreachable_pub, missing_debug_implementations)]
#![forbid(unsafe_code)]

use howdah::prelude::*;
use howdah::{EntityMeta, EnumStorage};

/// A status.
#[derive(DbEnum, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[db_enum(native, schema = "app", rename_all = "SCREAMING-KEBAB-CASE")]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Not yet done.
    #[default]
    InProgress = 5,
    /// Done.
    #[db_enum(rename = "finished")]
    #[serde(rename = "finished")]
    Done = 2,
    /// No longer used.
    #[deprecated]
    Old,
}

mod inner {
    use super::*;

    #[derive(DbEnum, Clone, Debug, PartialEq)]
    #[allow(non_camel_case_types, dead_code)]
    pub(crate) enum r#type {
        r#match,
        None,
        Some,
        Ok,
        usize,
    }

    #[derive(DbEnum, Clone, Copy, Debug, PartialEq)]
    #[db_enum(integer)]
    #[repr(u16)]
    enum Level {
        Low = 1,
        High = Level::Low as u16 + 65_000,
    }

    macro_rules! enumeration {
        ($name:ident { $($variant:ident = $label:literal),* }) => {
            #[derive(DbEnum, Clone, Debug, PartialEq)]
            pub(crate) enum $name { $(#[db_enum(rename = $label)] $variant),* }
        };
    }

    enumeration!(Mood { Sad = "sad face", Happy = "happy face" });

    #[derive(Entity, Clone, Debug)]
    #[unique(kind, level)]
    struct Hidden {
        #[primary_key]
        level: Level,
        #[primary_key]
        status: Status,
        #[property(default = r#type::r#match)]
        kind: r#type,
        #[property(default = Mood::Happy)]
        mood: Option<Mood>,
        #[property(default_sql = "'finished'")]
        made: Status,
        moods: Option<Vec<Mood>>,
        #[property(default = vec![Status::Done])]
        statuses: Vec<Status>,
        #[many_to_one]
        parent: Option<Ref<Hidden>>,
    }

    pub(crate) fn check() -> &'static EntityMeta {
        let hidden: Hidden = NewHidden { level: Level::High, status: Status::Done }.into();
        assert_eq!((hidden.kind, hidden.mood, hidden.made), (r#type::r#match, Some(Mood::Happy), Status::InProgress));
        assert_eq!((hidden.level, hidden.statuses, hidden.moods), (Level::High, vec![Status::Done], None));
        assert!(hidden.parent.is_none());
        assert_eq!((Level::VARIANTS.len(), Mood::VARIANTS[0].clone()), (2, Mood::Sad));
        let EnumStorage::Text { labels } = <r#type as DbEnum>::META.storage else { return Hidden::meta() };
        assert_eq!((<r#type as DbEnum>::META.name, labels), ("type", &["match", "None", "Some", "Ok", "usize"][..]));
        let EnumStorage::Integer { numbers, pg } = Level::META.storage else { return Hidden::meta() };
        assert_eq!((numbers, pg.name), (&[1, 65_001][..], "int4"));
        let fields = Hidden::fields;
        let _ = fields().level().gt(Level::Low) & fields().status().between(Status::InProgress, &Status::Done);
        let _ = fields().parent().eq((Level::Low, Status::Done)) | fields().statuses().eq(vec![]);
        Hidden::meta()
    }
}

fn main() {
    let EnumStorage::Native { labels, schema, .. } = Status::META.storage else { unreachable!() };
    assert_eq!((labels, schema), (&["IN-PROGRESS", "finished", "OLD"][..], Some("app")));
    assert_eq!(inner::check().properties.len(), 8);
}
