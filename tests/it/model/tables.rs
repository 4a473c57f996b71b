//! What the reference model knows of the tables: columns, keys and constraints, written down a second time so that the
//! library's own idea of them is tested, too.

/// The number of an entity in a story. A row keeps it for as long as somebody has it in memory.
pub type Id = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Folder,
    Team,
    Person,
    Note,
    Badge,
    Tag,
    Seat,
    Country,
    City,
    Cushion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Text,
    To(Table),
}

pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub nullable: bool,
}

/// One table.
pub struct Definition {
    pub name: &'static str,
    /// The SQL expression of the key, written as the library writes keys.
    pub key: &'static str,
    pub columns: &'static [Column],
    pub unique: &'static [&'static [usize]],
    /// The columns of the key, where they are fields of the model.
    pub key_columns: &'static [usize],
    pub version: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Row(Id),
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nullable: false }
}

const fn nullable(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nullable: true }
}

const fn definition(name: &'static str, columns: &'static [Column]) -> Definition {
    Definition { name, key: "id::text", columns, unique: &[], key_columns: &[], version: None }
}

const FOLDER: Definition = Definition {
    unique: &[&[1]],
    version: Some(2),
    ..definition(
        "folder",
        &[
            column("title", Kind::Text),
            nullable("code", Kind::Int),
            column("version", Kind::Int),
            nullable("parent_id", Kind::To(Table::Folder)),
        ],
    )
};

const TEAM: Definition = Definition {
    unique: &[&[0, 1]],
    ..definition(
        "team",
        &[column("region", Kind::Text), column("number", Kind::Int), nullable("lead_id", Kind::To(Table::Person))],
    )
};

/// The column of a person's age, which must not be negative.
pub const AGE: usize = 2;

const PERSON: Definition = Definition {
    unique: &[&[0], &[1]],
    version: Some(3),
    ..definition(
        "person",
        &[
            column("name", Kind::Text),
            nullable("email", Kind::Text),
            column("age", Kind::Int),
            column("version", Kind::Int),
            nullable("team_id", Kind::To(Table::Team)),
        ],
    )
};

/// The column of a note's stars, which the database does not let be NULL.
pub const STARS: usize = 1;

const NOTE: Definition = definition(
    "note",
    &[column("text", Kind::Text), column("stars", Kind::Int), column("person_id", Kind::To(Table::Person))],
);

const BADGE: Definition = Definition {
    unique: &[&[1]],
    ..definition("badge", &[column("color", Kind::Text), nullable("person_id", Kind::To(Table::Person))])
};

const TAG: Definition = Definition { unique: &[&[0]], ..definition("tag", &[column("name", Kind::Text)]) };

const SEAT: Definition = Definition {
    key: "format('(%s, %s)', team_id, number)",
    unique: &[&[0, 1]],
    key_columns: &[0, 1],
    ..definition(
        "seat",
        &[
            column("team_id", Kind::To(Table::Team)),
            column("number", Kind::Int),
            column("label", Kind::Text),
            nullable("occupant_id", Kind::To(Table::Person)),
        ],
    )
};

/// Its key is made of that of its seat; another seat is referred to by two columns.
const CUSHION: Definition = Definition {
    key: "format('(%s, %s, %s)', seat_team_id, seat_number, layer)",
    unique: &[&[0, 1]],
    key_columns: &[0, 1],
    ..definition(
        "cushion",
        &[
            column("format('(%s, %s)', seat_team_id, seat_number)", Kind::To(Table::Seat)),
            column("layer", Kind::Int),
            column("color", Kind::Text),
            nullable("nullif(format('(%s, %s)', beside_team_id, beside_number), '(, )')", Kind::To(Table::Seat)),
        ],
    )
};

const COUNTRY: Definition =
    definition("country", &[column("name", Kind::Text), column("capital_id", Kind::To(Table::City))]);

const CITY: Definition =
    definition("city", &[column("name", Kind::Text), column("country_id", Kind::To(Table::Country))]);

impl Table {
    pub const ALL: [Self; 10] = [
        Self::Folder,
        Self::Team,
        Self::Person,
        Self::Note,
        Self::Badge,
        Self::Tag,
        Self::Seat,
        Self::Country,
        Self::City,
        Self::Cushion,
    ];

    pub const fn definition(self) -> &'static Definition {
        match self {
            Self::Folder => &FOLDER,
            Self::Team => &TEAM,
            Self::Person => &PERSON,
            Self::Note => &NOTE,
            Self::Badge => &BADGE,
            Self::Tag => &TAG,
            Self::Seat => &SEAT,
            Self::Country => &COUNTRY,
            Self::City => &CITY,
            Self::Cushion => &CUSHION,
        }
    }

    /// The columns that refer to other rows, and what to.
    pub fn references(self) -> impl Iterator<Item = (usize, Table)> {
        let columns = self.definition().columns.iter().enumerate();
        columns.filter_map(|(index, column)| match column.kind {
            Kind::To(target) => Some((index, target)),
            Kind::Int | Kind::Text => None,
        })
    }
}

/// A relation as its inverse side (or a side of a many-to-many) has it: what an entity can claim items by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    Children,
    Members,
    Notes,
    /// The inverse side of a one-to-one.
    Badge,
    Tags,
    People,
}

impl Relation {
    pub const ALL: [Self; 6] = [Self::Children, Self::Members, Self::Notes, Self::Badge, Self::Tags, Self::People];

    pub const fn owner(self) -> Table {
        match self {
            Self::Children => Table::Folder,
            Self::Members => Table::Team,
            Self::Notes | Self::Badge | Self::Tags => Table::Person,
            Self::People => Table::Tag,
        }
    }

    pub const fn item(self) -> Table {
        match self {
            Self::Children => Table::Folder,
            Self::Members | Self::People => Table::Person,
            Self::Notes => Table::Note,
            Self::Badge => Table::Badge,
            Self::Tags => Table::Tag,
        }
    }

    /// The item's column that refers to the owner; none of a many-to-many.
    pub const fn column(self) -> Option<usize> {
        match self {
            Self::Children => Some(3),
            Self::Members => Some(4),
            Self::Notes => Some(2),
            Self::Badge => Some(1),
            Self::Tags | Self::People => None,
        }
    }

    /// The same many-to-many, seen from the other side.
    pub const fn other_side(self) -> Option<Self> {
        match self {
            Self::Tags => Some(Self::People),
            Self::People => Some(Self::Tags),
            _ => None,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Children => "children",
            Self::Members => "members",
            Self::Notes => "notes",
            Self::Badge => "badge",
            Self::Tags => "tags",
            Self::People => "people",
        }
    }
}
