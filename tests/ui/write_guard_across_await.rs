// A guard that is alive while a spawned task waits.
// Expected: one error that names the guard.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(task);
}

fn work(em: EntityManager, author: Managed<Author>) {
    spawn(async move {
        let guard = author.write();
        let _ = em.flush().await;
        drop(guard);
    });
}

fn main() {}
