//! Some items of a collection: filter, order, limit and offset of each owner, and what a flush makes of the rest.

use super::*;
use howdah::Find;

async fn by_name(find: Find<Author>) -> Vec<Managed<Author>> {
    find.order_by(|a| a.name().asc()).await.unwrap()
}

async fn ann(em: &EntityManager) -> Managed<Author> {
    em.find_one_or_fail::<Author>(Author::fields().name().eq("Ann"), ()).await.unwrap()
}

#[tokio::test]
async fn e3_filters_orders_and_limits_are_those_of_each_owner() {
    let fixture = filled().await;
    for strategy in STRATEGIES {
        macro_rules! check {
            ($($expected:expr => $items:expr;)*) => {$(
                let em = fixture.em();
                let find = em.find::<Author>().strategy(strategy).populate(|a| a.books().with($items));
                let found = by_name(find).await;
                assert_eq!(found.iter().map(author).collect::<Vec<_>>(), $expected, "{strategy:?}");
                fixture.forget();
                let found = by_name(em.fork().find::<Author>()).await;
                let em = fixture.em();
                let found = by_name(em.find::<Author>()).await.into_iter().take(found.len()).collect::<Vec<_>>();
                em.populate(&found, Author::fields().books().with($items)).strategy(strategy).await.unwrap();
                assert_eq!(found.iter().map(author).collect::<Vec<_>>(), $expected, "{strategy:?}, populated later");
            )*};
        }
        check! {
            ["Ann: A1 A2", "Bea: B1 B2", "Cid: "] => |b| b.limit(2);
            ["Ann: A3", "Bea: ", "Cid: "] => |b| b.offset(2);
            ["Ann: A3 A2 A1", "Bea: B2 B1", "Cid: "] => |b| b.order_by(|b| b.title().desc());
            ["Ann: A2", "Bea: B1", "Cid: "] => |b| b.order_by(|b| b.title().desc()).limit(1).offset(1);
            ["Ann: A1", "Bea: B1", "Cid: "] => |b| b.filter(|b| b.shelf().code().eq("S"));
            ["Ann: A1 A2", "Bea: B1", "Cid: "] => |b| b.filter(|b| b.tags().name().eq("a"));
            ["Ann: A1(a b)@S", "Bea: B1(a b)@S", "Cid: "] => |b| b.limit(1).populate(|b| (b.tags(), b.shelf()));
            ["Ann: A1(b)", "Bea: B1(b)", "Cid: "] =>
                |b| b.limit(1).populate(|b| b.tags().with(|t| t.order_by(|t| t.name().desc()).limit(1)));
            ["Ann: ", "Bea: ", "Cid: "] => |b| b.limit(0);
        }
        // Many-to-many, from both sides, in the fixed order of the relation or in another one; composite keys.
        let em = fixture.em();
        let found = em.find::<Tag>().order_by(|t| t.name().asc()).strategy(strategy);
        let found = found.populate(|t| t.books().with(|b| b.order_by(|b| b.title().desc()).limit(2))).await.unwrap();
        let titles = |tag: &Managed<Tag>| joined(tag.read().books.items().unwrap().iter().map(book));
        assert_eq!(found.iter().map(titles).collect::<Vec<_>>(), ["B1 A2", "B2 B1"], "{strategy:?}");
        let find = em.find::<Carrier>().order_by(|c| c.name().asc()).strategy(strategy);
        let found = find.populate(|c| c.depots().with(|d| d.limit(1).populate(|d| d.cartons()))).await.unwrap();
        let depots = |carrier: &Managed<Carrier>| joined(carrier.read().depots.items().unwrap().iter().map(depot));
        assert_eq!(found.iter().map(depots).collect::<Vec<_>>(), ["PL1 []", "DE1 [x y]"], "{strategy:?}");
    }
}

#[tokio::test]
async fn options_cost_no_more_round_trips() {
    let fixture = filled().await;
    for (strategy, cost) in STRATEGIES.into_iter().zip([(3, 3), (3, 3), (1, 1), (3, 1)]) {
        let em = fixture.em();
        fixture.forget();
        let find = em.find::<Author>().strategy(strategy);
        find.populate(|a| a.books().with(|b| b.limit(2).populate(|b| b.tags().with(|t| t.limit(1))))).await.unwrap();
        let trips = fixture.log.round_trips();
        assert_eq!((fixture.statements().len(), trips), cost, "{strategy:?}");
    }
}

#[tokio::test]
async fn e4_a_part_is_not_the_whole() {
    let fixture = filled().await;
    let em = fixture.em();
    let ann = ann(&em).await;
    let last = || Author::fields().books().with(|b| b.order_by(|b| b.title().desc()).limit(1));
    em.populate(&ann, last()).await.unwrap();
    let a3 = ann.read().books.items().unwrap()[0].clone();
    let a1 = em.find_one_or_fail::<Book>(Book::fields().title().eq("A1"), ()).await.unwrap();
    {
        let ann = ann.read();
        assert!(ann.books.is_partial() && !ann.books.is_loaded());
        assert_eq!(ann.books.len().unwrap(), 1);
        assert!(ann.books.contains(&a3).unwrap());
        assert!(matches!(ann.books.contains(&a1), Err(Error::NotLoaded { entity: "Author", relation: "books" })));
    }
    // Asked for as a whole it is loaded; asked for in part again it is asked again.
    assert_eq!(ann.load(&em, |a| a.books()).await.unwrap().len(), 3);
    assert!(ann.read().books.is_loaded() && !ann.read().books.is_partial());
    em.populate(&ann, last()).await.unwrap();
    assert!(ann.read().books.is_partial());
    // An order alone shows all of them.
    em.populate(&ann, Author::fields().books().with(|b| b.order_by(|b| b.title().desc()))).await.unwrap();
    assert!(ann.read().books.is_loaded());
    assert_eq!(author(&ann), "Ann: A3 A2 A1");
}

#[tokio::test]
async fn c14_what_was_not_loaded_is_not_touched_by_a_flush() {
    let fixture = filled().await;
    let titles = "SELECT title FROM book b JOIN author a ON a.id = b.author_id WHERE a.name = 'Ann' ORDER BY 1";
    let tags = "SELECT t.name FROM book_tags p JOIN tag t ON t.id = p.tag_id JOIN book b ON b.id = p.book_id \
                WHERE b.title = 'A1' ORDER BY 1";
    // One-to-many, whose removed items are deleted.
    let em = fixture.em();
    let ann = ann(&em).await;
    em.populate(&ann, Author::fields().books().with(|b| b.filter(|b| b.title().eq("A2")))).await.unwrap();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(titles).await, ["A1", "A2", "A3"]);
    let new = em.create(NewBook { title: "A4".into(), author: ann.to_ref() });
    ann.write().books.set([&new]);
    assert_eq!(author(&ann), "Ann: A4()");
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(titles).await, ["A1", "A3", "A4"], "what was shown is replaced");
    assert_eq!(author(&ann), "Ann: A4()");
    assert!(ann.read().books.is_partial());
    ann.write().books.remove_all();
    em.flush().await.unwrap();
    assert_eq!(
        (fixture.rows(titles).await, author(&ann)),
        (vec!["A1".to_owned(), "A3".to_owned()], "Ann: ".to_owned())
    );
    // Many-to-many.
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let a1 = em.find_one_or_fail::<Book>(Book::fields().title().eq("A1"), ()).await.unwrap();
    em.populate(&a1, Book::fields().tags().with(|t| t.filter(|t| t.name().eq("a")))).await.unwrap();
    let c = em.create(NewTag { name: "c".into() });
    a1.write().tags.set([&c]);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(tags).await, ["b", "c"]);
    let b = em.find_one_or_fail::<Tag>(Tag::fields().name().eq("b"), ()).await.unwrap();
    // What is there already, though it is not shown, can be added and removed.
    a1.write().tags.add(&b);
    em.flush().await.unwrap();
    assert_eq!((fixture.rows(tags).await, book(&a1)), (vec!["b".to_owned(), "c".to_owned()], "A1(c b)".to_owned()));
    em.populate(&a1, Book::fields().tags().with(|t| t.limit(0))).await.unwrap();
    a1.write().tags.remove(&b);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(tags).await, ["c"]);
    // Pending changes stay when the rest is loaded, and when some of it is.
    a1.write().tags.add(&b);
    em.populate(&a1, "tags").await.unwrap();
    assert_eq!(book(&a1), "A1(c b)");
    em.populate(&a1, Book::fields().tags().with(|t| t.filter(|t| t.name().eq("c")))).await.unwrap();
    assert_eq!(book(&a1), "A1(c b)");
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(tags).await, ["b", "c"]);
}

#[tokio::test]
async fn c14_some_items_in_a_fixed_order() {
    let fixture = filled().await;
    let order = "SELECT depot_country || depot_number FROM carrier_depots p JOIN carrier c ON c.id = p.carrier_id \
                 WHERE c.name = 'Rail' ORDER BY p.id";
    let column = fixture
        .rows(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'carrier_depots' \
                               AND column_name NOT LIKE '%\\_%' ORDER BY 1",
        )
        .await;
    let order = order.replace("p.id", &format!("p.\"{}\"", column[0]));
    assert_eq!(fixture.rows(&order).await, ["PL1", "DE1"]);
    let em = fixture.em();
    let rail = em.find_one_or_fail::<Carrier>(Carrier::fields().name().eq("Rail"), ()).await.unwrap();
    em.populate(&rail, Carrier::fields().depots().with(|d| d.limit(1))).await.unwrap();
    let de2 = em.find_one_or_fail::<Depot>(("DE", 2), ()).await.unwrap();
    rail.write().depots.add(&de2);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(&order).await, ["PL1", "DE1", "DE2"], "behind those that are not shown");
}

#[tokio::test]
async fn matching_finds_among_the_items_and_load_count_counts_them() {
    let fixture = filled().await;
    let em = fixture.em();
    let ann = ann(&em).await;
    fixture.forget();
    let found = ann.matching(&em, |a| a.books()).filter(|b| b.tags().name().eq("a")).order_by(|b| b.title().desc());
    let found = found.limit(1).await.unwrap();
    assert_eq!(found.iter().map(book).collect::<Vec<_>>(), ["A2"]);
    assert!(!ann.read().books.is_loaded());
    assert_eq!(ann.load_count(&em, |a| a.books()).await.unwrap(), 3);
    assert_eq!(fixture.statements().len(), 2);
    let tag = em.find_one_or_fail::<Tag>(Tag::fields().name().eq("b"), ()).await.unwrap();
    let found = tag.matching(&em, |t| t.books()).order_by(|b| b.title().asc()).populate(|b| b.author()).await.unwrap();
    assert_eq!(found.iter().map(book_by).collect::<Vec<_>>(), ["A1 by Ann", "B1 by Bea", "B2 by Bea"]);
    assert_eq!(tag.load_count(&em, |t| t.books()).await.unwrap(), 3);
    let depot = em.find_one_or_fail::<Depot>(("DE", 1), ()).await.unwrap();
    assert_eq!(depot.load_count(&em, |d| d.cartons()).await.unwrap(), 2);
    let carriers = depot.matching(&em, |d| d.carriers()).filter(|c| c.name().eq("Road")).count().await.unwrap();
    assert_eq!((carriers, depot.load_count(&em, |d| d.carriers()).await.unwrap()), (1, 2));
    // A new entity has nothing in the database.
    let new = em.create(NewAuthor { name: "Dan".into() });
    assert_eq!(new.load_count(&em, |a| a.books()).await.unwrap(), 0);
    let error = ann.load_count(&em, |a| a.books().tags()).await.unwrap_err();
    assert!(matches!(error, Error::Validation { .. }), "{error}");
}
