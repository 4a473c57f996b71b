//! The rules of identity, transactions and locks hold whatever the strategy is.

use super::*;

#[tokio::test]
async fn a1_one_row_is_one_entity_and_changed_fields_stay() {
    let fixture = filled().await;
    for strategy in STRATEGIES {
        let em = fixture.em();
        em.set_flush_mode(FlushMode::Commit);
        let bea = em.find_one_or_fail::<Author>(Author::fields().name().eq("Bea"), ()).await.unwrap();
        let b1 = em.find_one_or_fail::<Book>(Book::fields().title().eq("B1"), ()).await.unwrap();
        let tag = em.persist(NewTag { name: "c".into() });
        b1.write().title = "changed".into();
        b1.write().tags.add(&tag);
        bea.write().mentor = None;
        fixture.database.execute("UPDATE book SET pages = 7 WHERE title = 'B1'").await.unwrap();
        let find = em.find::<Author>().order_by(|a| a.name().asc()).strategy(strategy);
        let authors = find.populate(|a| (a.books().tags(), a.books().author(), a.mentor())).await.unwrap();
        assert_eq!(authors[1], bea, "{strategy:?}");
        // A3: changed fields keep what the user has written, clean ones take the row's.
        assert_eq!(author(&bea), "Bea: changed(a b c) B2(b)", "{strategy:?}");
        let books = bea.read().books.items().unwrap();
        assert_eq!(books[0], b1);
        assert_eq!(b1.read().pages, Some(7), "{strategy:?}");
        let a1 = &authors[0].read().books.items().unwrap()[0];
        assert_eq!(a1.read().tags.items().unwrap()[0], b1.read().tags.items().unwrap()[0], "they share a tag");
        assert_eq!(b1.read().author.get().unwrap(), bea);
        fixture.database.execute("UPDATE book SET pages = NULL").await.unwrap();
    }
}

#[tokio::test]
async fn a_reference_that_was_changed_is_populated_as_it_is_now() {
    let fixture = filled().await;
    for strategy in STRATEGIES {
        let em = fixture.em();
        let cid = em.fork().find_one_or_fail::<Author>(Author::fields().name().eq("Cid"), ()).await.unwrap().id();
        let b1 = em.find_one_or_fail::<Book>(Book::fields().title().eq("B1"), ()).await.unwrap();
        b1.write().author = em.get_reference::<Author>(cid);
        let find = em.find::<Book>().filter(|b| b.title().eq("B1")).strategy(strategy);
        find.populate(|b| b.author().profile()).await.unwrap();
        let author = b1.read().author.get().unwrap();
        assert_eq!(self::author(&author), "Cid \"about Cid\"", "{strategy:?}");
    }
}

#[tokio::test]
async fn e4_what_was_not_asked_for_is_not_loaded() {
    let fixture = filled().await;
    for strategy in STRATEGIES {
        let em = fixture.em();
        let found = em.find::<Author>().strategy(strategy).populate(|a| a.books().shelf()).await.unwrap();
        for author in &found {
            assert!(author.read().books.is_loaded());
            for book in author.read().books.items().unwrap() {
                let error = book.read().tags.items().unwrap_err();
                assert!(matches!(error, Error::NotLoaded { entity: "Book", relation: "tags" }), "{strategy:?}");
                if let Some(shelf) = &book.read().shelf {
                    let error = shelf.get().unwrap().read().books.len().unwrap_err();
                    assert!(matches!(error, Error::NotLoaded { entity: "Shelf", relation: "books" }), "{strategy:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_collection_that_is_loaded_is_not_overwritten() {
    let fixture = filled().await;
    for strategy in STRATEGIES {
        let em = fixture.em();
        em.set_flush_mode(FlushMode::Commit);
        let ann = em.find_one_or_fail::<Author>(Author::fields().name().eq("Ann"), ["books"]).await.unwrap();
        fixture
            .database
            .execute("INSERT INTO book (title, version, author_id) SELECT 'A4', 1, id FROM author WHERE name = 'Ann'")
            .await
            .unwrap();
        let gone = ann.read().books.items().unwrap()[1].clone();
        ann.write().books.remove(&gone);
        em.find::<Author>().strategy(strategy).populate(|a| a.books().tags()).await.unwrap();
        assert_eq!(author(&ann), "Ann: A1(a b) A3()", "{strategy:?}");
        fixture.database.execute("DELETE FROM book WHERE title = 'A4'").await.unwrap();
    }
}

#[tokio::test]
async fn pipelined_reads_as_of_one_moment() {
    let fixture = filled().await;
    let find = |em: &EntityManager| em.find::<Author>().strategy(LoadStrategy::Pipelined).populate(|a| a.books());
    find(&fixture.em()).await.unwrap();
    let flow = fixture.log.take();
    assert_eq!(flow.len(), 4, "{flow:#?}");
    assert_eq!([&flow[0], &flow[3]], ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "COMMIT"]);
    assert!(flow[2].starts_with(r#"WITH "howdah:p0"("#), "the condition of the authors is repeated: {flow:#?}");
    fixture.no_open_transaction().await;
    // In a transaction that is open it is simply one flight, and sees what that has written.
    let em = fixture.em();
    em.begin().await.unwrap();
    em.persist(NewAuthor { name: "Dan".into() });
    em.flush().await.unwrap();
    fixture.forget();
    assert_eq!(find(&em).await.unwrap().len(), 4);
    assert_eq!(fixture.log.round_trips(), 1);
    assert_eq!(fixture.log.take().len(), 2);
    em.rollback().await.unwrap();
    // One statement needs no transaction.
    let em = fixture.em();
    em.find::<Author>().strategy(LoadStrategy::Pipelined).await.unwrap();
    fixture.forget();
    let error =
        em.find::<Author>().filter(|a| a.name().eq("a\0b")).strategy(LoadStrategy::Pipelined).populate(|a| a.books());
    assert!(error.await.is_err());
    assert_eq!(find(&em).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_child_that_the_condition_of_its_parent_no_longer_leads_to_is_loaded_after_all() {
    let fixture = filled().await;
    // The statements of a READ COMMITTED transaction see different moments: here the condition depends on one.
    fixture
        .database
        .execute(
            "CREATE SEQUENCE looked; ALTER TABLE author RENAME TO author_table; CREATE VIEW author AS SELECT * FROM author_table \
             WHERE (SELECT nextval('looked')) % 2 = 1",
        )
        .await
        .unwrap();
    let em = fixture.em();
    em.begin().await.unwrap();
    fixture.forget();
    let find = em.find::<Author>().order_by(|a| a.name().asc()).strategy(LoadStrategy::Pipelined);
    let found = find.populate(|a| a.books()).await.unwrap();
    assert_eq!(found.iter().map(author).collect::<Vec<_>>(), ["Ann: A1 A2 A3", "Bea: B1 B2", "Cid: "]);
    assert_eq!(fixture.log.round_trips(), 2);
    em.rollback().await.unwrap();
}

#[tokio::test]
async fn relations_of_locked_rows_are_read_behind_the_lock() {
    let fixture = filled().await;
    for strategy in STRATEGIES {
        let em = fixture.em();
        em.begin().await.unwrap();
        fixture.forget();
        let find =
            em.find::<Author>().filter(|a| a.name().eq("Ann")).lock(LockMode::PessimisticWrite).strategy(strategy);
        let found = find.populate(|a| (a.books().tags(), a.profile())).await.unwrap();
        assert_eq!(found.iter().map(author).collect::<Vec<_>>(), ["Ann \"about Ann\": A1(a b) A2(a) A3()"]);
        let statements = fixture.statements();
        assert!(statements[0].ends_with("FOR UPDATE OF t0"), "{statements:#?}");
        assert!(statements[1..].iter().all(|sql| !sql.contains("FOR UPDATE") && sql.contains("= ANY($1::")));
        em.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn the_orm_has_a_strategy_for_queries_that_do_not_say() {
    let fixture = Fixture::with(entities(), |builder| builder.load_strategy(LoadStrategy::Joined)).await;
    fill(&fixture.em()).await;
    fixture.forget();
    let em = fixture.em();
    let found = em.find::<Author>().populate(|a| a.books().tags()).await.unwrap();
    assert_eq!((found.len(), fixture.statements().len()), (3, 1));
    let em = fixture.em();
    em.find::<Author>().populate(|a| a.books().tags()).strategy(LoadStrategy::SelectIn).await.unwrap();
    assert_eq!(fixture.statements().len(), 4);
}

#[tokio::test]
async fn every_strategy_works_in_a_transaction_and_is_undone_with_it() {
    let fixture = filled().await;
    for strategy in STRATEGIES {
        let em = fixture.em();
        em.begin().await.unwrap();
        let ann = em.find_one_or_fail::<Author>(Author::fields().name().eq("Ann"), ()).await.unwrap();
        em.persist(NewBook { title: "A0".into(), author: ann.to_ref() });
        em.flush().await.unwrap();
        let found = em
            .find::<Author>()
            .filter(|a| a.name().eq("Bea"))
            .strategy(strategy)
            .populate(|a| (a.books(), a.mentor().books()));
        let found = found.await.unwrap();
        assert_eq!(found.iter().map(author).collect::<Vec<_>>(), ["Bea: B1 B2"], "{strategy:?}");
        assert_eq!(author(&ann), "Ann: A1 A2 A3 A0()", "{strategy:?}");
        em.rollback().await.unwrap();
        // What was read behind the write is not kept (D2).
        assert!(!ann.read().books.is_loaded(), "{strategy:?}");
        assert_eq!(found[0].state(), EntityState::Detached, "{strategy:?}");
    }
}
