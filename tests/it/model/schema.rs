//! The entities of the model test: every shape that the unit of work treats apart.
//!
//! A tree (folders), two tables that refer to each other (people and teams), a circle without a nullable column (countries
//! and cities), many-to-many (people and tags), one-to-one (people and badges), orphans (notes), a key that is made of a
//! relation (seats), unique columns that may be NULL, may not, and are several, and a unique index of an expression (of a
//! column in which all letters are small).

use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
pub struct Folder {
    #[primary_key]
    pub id: i64,
    pub title: String,
    #[property(unique)]
    pub code: Option<i32>,
    #[version]
    pub version: i32,
    #[many_to_one(inversed_by = children)]
    pub parent: Option<Ref<Folder>>,
    #[one_to_many(mapped_by = parent)]
    pub children: Collection<Folder>,
}

#[derive(Entity, Clone, Debug)]
#[unique(region, number)]
pub struct Team {
    #[primary_key]
    pub id: i64,
    pub region: String,
    pub number: i32,
    #[many_to_one]
    pub lead: Option<Ref<Person>>,
    #[one_to_many(mapped_by = team)]
    pub members: Collection<Person>,
}

#[derive(Entity, Clone, Debug)]
#[unique(expression = "lower(email)")]
pub struct Person {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub name: String,
    pub email: Option<String>,
    #[property(check = "age >= 0")]
    pub age: i32,
    #[version]
    pub version: i32,
    #[many_to_one(inversed_by = members)]
    pub team: Option<Ref<Team>>,
    #[one_to_one(mapped_by = person)]
    pub badge: Option<Ref<Badge>>,
    #[one_to_many(mapped_by = person, cascade(persist, remove), orphan_removal)]
    pub notes: Collection<Note>,
    #[many_to_many(inversed_by = people)]
    pub tags: Collection<Tag>,
}

/// The database lets no note be without stars, the entity does.
#[derive(Entity, Clone, Debug)]
pub struct Note {
    #[primary_key]
    pub id: i64,
    pub text: String,
    pub stars: Option<i32>,
    #[many_to_one(inversed_by = notes)]
    pub person: Ref<Person>,
}

#[derive(Entity, Clone, Debug)]
pub struct Badge {
    #[primary_key]
    pub id: Uuid,
    pub color: String,
    #[one_to_one(inversed_by = badge)]
    pub person: Option<Ref<Person>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Tag {
    #[primary_key]
    pub id: Uuid,
    #[property(unique)]
    pub name: String,
    #[many_to_many(mapped_by = tags)]
    pub people: Collection<Person>,
}

#[derive(Entity, Clone, Debug)]
pub struct Seat {
    #[primary_key]
    #[many_to_one]
    pub team: Ref<Team>,
    #[primary_key]
    pub number: i32,
    pub label: String,
    #[many_to_one]
    pub occupant: Option<Ref<Person>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Cushion {
    #[primary_key]
    #[many_to_one]
    pub seat: Ref<Seat>,
    #[primary_key]
    pub layer: i32,
    pub color: String,
    #[many_to_one]
    pub beside: Option<Ref<Seat>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Country {
    #[primary_key]
    pub id: Uuid,
    pub name: String,
    #[many_to_one]
    pub capital: Ref<City>,
}

#[derive(Entity, Clone, Debug)]
pub struct City {
    #[primary_key]
    pub id: Uuid,
    pub name: String,
    #[many_to_one]
    pub country: Ref<Country>,
}

/// All of them.
pub fn entities() -> [&'static howdah::EntityMeta; 10] {
    entities![Folder, Team, Person, Note, Badge, Tag, Seat, Country, City, Cushion]
}

/// What the entities cannot say: the constraint that only the database has, and the faults that can be switched on.
///
/// The switch is a sequence, because that is seen at once by every transaction whatever its snapshot: 2 ends the
/// connection in the next statement that writes, 3 fails that statement as a conflict with another transaction, 4 fails
/// the COMMIT, 5 ends the connection in it.
pub const MORE: &str = "
    ALTER TABLE note ALTER COLUMN stars SET NOT NULL;
    CREATE SEQUENCE fault;
    CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE kind bigint := (SELECT last_value FROM fault);
    BEGIN
        IF kind = 2 THEN
            PERFORM pg_terminate_backend(pg_backend_pid());
        ELSIF kind = 3 THEN
            RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
        END IF;
        RETURN NULL;
    END $$;
    CREATE FUNCTION fault_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE kind bigint := (SELECT last_value FROM fault);
    BEGIN
        IF kind = 4 THEN
            RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
        ELSIF kind = 5 THEN
            PERFORM pg_terminate_backend(pg_backend_pid());
        END IF;
        RETURN NULL;
    END $$;
    DO $$
    DECLARE name text;
    BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('CREATE TRIGGER fault BEFORE INSERT OR UPDATE OR DELETE ON %I
                            FOR EACH STATEMENT EXECUTE FUNCTION fault()', name);
            EXECUTE format('CREATE CONSTRAINT TRIGGER fault_at_commit AFTER INSERT OR UPDATE OR DELETE ON %I
                            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fault_at_commit()', name);
        END LOOP;
    END $$;
";
