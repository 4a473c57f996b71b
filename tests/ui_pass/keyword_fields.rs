// Fields that are called like keywords, and like methods of what is generated.
#![deny(warnings)]
use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
#[index(type, r#match, name = "kinds")]
#[unique(name, path)]
pub struct Document {
    #[primary_key]
    pub id: i64,
    pub r#type: String,
    pub r#match: Option<i32>,
    pub name: String,
    pub path: String,
    pub at: DateTime<Utc>,
    pub clone: bool,
    pub new: i32,
    pub row: i32,
    pub graph: i32,
    pub index: i32,
    #[property(default = 1)]
    pub default: i32,
    #[many_to_one(inversed_by = r#in)]
    pub r#for: Option<Ref<Document>>,
    #[one_to_many(mapped_by = r#for)]
    pub r#in: Collection<Document>,
}

#[allow(non_camel_case_types)]
#[derive(Entity, Clone, Debug)]
pub struct r#union {
    #[primary_key]
    pub id: i64,
}

fn main() {
    let meta = Document::meta();
    let names: Vec<&str> = meta.properties.iter().map(|property| property.name).collect();
    assert!(names.contains(&"type") && names.contains(&"match") && names.contains(&"for"));
    assert_eq!(meta.indexes[0].properties, ["type", "match"]);
    assert_eq!(meta.properties.last().unwrap().as_relation().unwrap().mapped_by, Some("for"));
    let _ = Document::fields().r#in().r#type().eq("pdf");
    let _ = Document::fields().path().eq("a");
    let _ = Document::fields().clone();
    assert_eq!(union::meta().name, "union");
    let _ = Newunion {};
}
