// A query over a field that the entity does not have.
// Expected: the compiler's own error, with the similar name.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub username: String,
}

async fn find(em: EntityManager) -> Result<Vec<Managed<Author>>, Error> {
    em.find::<Author>().filter(|author| author.user_name().eq("ada")).await
}

fn main() {}
