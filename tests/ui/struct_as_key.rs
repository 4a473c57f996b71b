// A struct of one's own is no key.
// Expected: one error at the type.
use howdah::prelude::*;

#[derive(Clone, Debug, PartialEq)]
pub struct AuthorId(i64);

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: AuthorId,
    pub name: String,
}

fn main() {}
