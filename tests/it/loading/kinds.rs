//! Every strategy and every kind of relation: what is found, with how many statements, in how many round trips.

use super::*;
use crate::proxy::Proxy;
use howdah::Find;

/// Statements and round trips, in the order of [`STRATEGIES`].
type Costs = [(usize, u64); 4];

async fn check<T: Entity>(
    name: &str,
    (fixture, proxy): &(Fixture, Proxy),
    find: impl Fn(Find<T>) -> Find<T>,
    picture: fn(&Managed<T>) -> String,
    expected: &[&str],
    costs: Costs,
) {
    for (strategy, cost) in STRATEGIES.into_iter().zip(costs) {
        let em = fixture.em();
        fixture.forget();
        proxy.reset();
        let found =
            find(em.find::<T>()).strategy(strategy).await.unwrap_or_else(|e| panic!("{name} {strategy:?}: {e}"));
        let (trips, seen) = (fixture.log.round_trips(), proxy.round_trips());
        let statements = fixture.statements();
        assert_eq!(found.iter().map(picture).collect::<Vec<_>>(), expected, "{name}, {strategy:?}: {statements:#?}");
        assert_eq!((statements.len(), trips), cost, "{name}, {strategy:?}: {statements:#?}");
        assert_eq!(trips, seen, "{name}, {strategy:?}: the log, and what was seen");
        // E1
        assert!(statements.iter().all(|sql| !sql.contains('*')), "{statements:#?}");
        // A flush after loading writes nothing (B3).
        assert_eq!(em.flush().await.unwrap(), FlushSummary::default(), "{name}, {strategy:?}");
    }
}

async fn filled() -> (Fixture, Proxy) {
    let (fixture, proxy) = Fixture::through_proxy_with(entities(), |builder| builder.max_connections(1)).await;
    fill(&fixture.em()).await;
    (fixture, proxy)
}

#[tokio::test]
async fn e2_relations_to_one() {
    let fixture = &filled().await;
    let authors = ["A1 by Ann", "A2 by Ann", "A3 by Ann", "B1 by Bea", "B2 by Bea"];
    let by_title = |find: Find<Book>| find.order_by(|b| b.title().asc());
    let one = [(1, 1), (2, 2), (1, 1), (2, 1)];
    check("many to one", fixture, |f| by_title(f).populate(|b| b.author()), book_by, &authors, one).await;
    let shelves = ["A1@S", "A2", "A3", "B1@S", "B2"];
    check("nullable", fixture, |f| by_title(f).populate(|b| b.shelf()), book, &shelves, one).await;
    let by_name = |find: Find<Author>| find.order_by(|a| a.name().asc());
    let profiles = ["Ann \"about Ann\"", "Bea", "Cid \"about Cid\""];
    check("inverse one to one", fixture, |f| by_name(f).populate(|a| a.profile()), author, &profiles, one).await;
    let owner = |profile: &Managed<Profile>| author(&profile.read().author.get().unwrap());
    let profiles = |find: Find<Profile>| find.order_by(|p| p.text().asc()).populate(|p| p.author());
    // The author's profile is known from the other side.
    let expected = ["Ann \"about Ann\"", "Cid \"about Cid\""];
    check("one to one", fixture, profiles, owner, &expected, one).await;
    let cid = |find: Find<Author>| find.filter(|a| a.name().eq("Cid")).populate(|a| a.mentor().mentor().mentor());
    let costs = [(1, 1), (3, 3), (1, 1), (4, 1)];
    check("self reference", fixture, cid, mentors, &["Cid<Bea<Ann"], costs).await;
    let both = |find: Find<Book>| by_title(find).populate(|b| (b.author().profile(), b.author().mentor(), b.shelf()));
    let costs = [(1, 1), (4, 3), (1, 1), (5, 1)];
    check(
        "siblings and a second depth",
        fixture,
        both,
        book_by,
        &["A1@S by Ann", "A2 by Ann", "A3 by Ann", "B1@S by Bea", "B2 by Bea"],
        costs,
    )
    .await;
}

#[tokio::test]
async fn e2_relations_to_many() {
    let fixture = &filled().await;
    let by_name = |find: Find<Author>| find.order_by(|a| a.name().asc());
    let many = [(2, 2), (2, 2), (1, 1), (2, 1)];
    let linked = [(3, 2), (3, 2), (1, 1), (3, 1)];
    let books = ["Ann: A1 A2 A3", "Bea: B1 B2", "Cid: "];
    check("one to many", fixture, |f| by_name(f).populate(|a| a.books()), author, &books, many).await;
    let by_title = |find: Find<Book>| find.order_by(|b| b.title().asc()).populate(|b| b.tags());
    let tags = ["A1(a b)", "A2(a)", "A3()", "B1(a b)", "B2(b)"];
    check("many to many", fixture, by_title, book, &tags, linked).await;
    let titles = |tag: &Managed<Tag>| joined(tag.read().books.items().unwrap().iter().map(book));
    let by_tag = |find: Find<Tag>| find.order_by(|t| t.name().asc()).populate(|t| t.books());
    check("inverse many to many", fixture, by_tag, titles, &["A1 A2 B1", "A1 B1 B2"], linked).await;
    let depots = |carrier: &Managed<Carrier>| joined(carrier.read().depots.items().unwrap().iter().map(depot));
    let by_carrier = |find: Find<Carrier>| find.order_by(|c| c.name().asc()).populate(|c| c.depots());
    check("fixed order", fixture, by_carrier, depots, &["PL1 DE1", "DE1"], linked).await;
    let boxes =
        |find: Find<Carton>| find.filter(|c| c.label().eq("x")).populate(|c| c.contents().contents().contents());
    let costs = [(4, 4), (4, 4), (1, 1), (4, 1)];
    check("self reference", fixture, boxes, carton, &["x{y{z{}}}"], costs).await;
}

#[tokio::test]
async fn e2_siblings_are_not_multiplied_and_depths_add_up() {
    let fixture = &filled().await;
    let by_name = |find: Find<Author>| find.order_by(|a| a.name().asc());
    let all =
        |find: Find<Author>| by_name(find).populate(|a| (a.books().tags(), a.books().shelf().books(), a.profile()));
    let expected =
        ["Ann \"about Ann\": A1(a b)@S[A1 B1] A2(a) A3()", "Bea: B1(a b)@S[A1 B1] B2(b)", "Cid \"about Cid\": "];
    // Balanced: the books with their shelves; tags and the shelves' books. Select-in: books, profiles; tags, shelves; the
    // shelves' books.
    check("siblings", fixture, all, author, &expected, [(5, 3), (7, 4), (1, 1), (7, 1)]).await;
    let cycle =
        |find: Find<Author>| find.filter(|a| a.name().eq("Bea")).populate(|a| a.books().author().books().tags());
    // The books' author is found already, and so are her books.
    let costs = [(4, 3), (4, 3), (1, 1), (6, 1)];
    check("cycle", fixture, cycle, author, &["Bea: B1(a b) B2(b)"], costs).await;
}

#[tokio::test]
async fn e2_composite_keys() {
    let fixture = &filled().await;
    let all = |find: Find<Depot>| {
        let find = find.order_by(|d| (d.country().asc(), d.number().asc()));
        find.populate(|d| (d.cartons().contents(), d.carriers(), d.manager()))
    };
    let expected = ["DE1 Mia [x{y{z{}}} y{z{}}] (Rail Road)", "DE2 [z{}] ()", "PL1 [] (Rail)"];
    check("composite", fixture, all, depot, &expected, [(5, 3), (6, 3), (1, 1), (6, 1)]).await;
    let up = |carton: &Managed<Carton>| depot(&carton.read().depot.as_ref().unwrap().get().unwrap());
    let cartons = |find: Find<Carton>| find.order_by(|c| c.label().asc()).populate(|c| c.depot().manager());
    let costs = [(1, 1), (3, 3), (1, 1), (3, 1)];
    check("to a composite key", fixture, cartons, up, &["DE1 Mia", "DE1 Mia", "DE2"], costs).await;
}

#[tokio::test]
async fn e3_limits_orders_and_filters_are_those_of_the_roots() {
    let fixture = &filled().await;
    let costs = [(4, 3), (4, 3), (1, 1), (4, 1)];
    let some = |find: Find<Author>| {
        let find = find.order_by(|a| a.name().desc()).limit(2).offset(1);
        find.populate(|a| a.books().tags())
    };
    let expected = ["Bea: B1(a b) B2(b)", "Ann: A1(a b) A2(a) A3()"];
    check("limit", fixture, some, author, &expected, costs).await;
    // A condition on the items says which roots are found, not which items.
    let tagged = |find: Find<Author>| {
        let find =
            find.filter(|a| a.books().title().like("%3")).order_by(|a| (a.mentor().name().asc(), a.name().asc()));
        find.populate(|a| a.books().tags())
    };
    check("filter", fixture, tagged, author, &["Ann: A1(a b) A2(a) A3()"], costs).await;
    let nobody = |find: Find<Author>| find.filter(|a| a.name().eq("Dan")).populate(|a| a.books().tags());
    check("nobody", fixture, nobody, author, &[], [(1, 1), (1, 1), (1, 1), (4, 1)]).await;
}

#[tokio::test]
async fn e2_find_one_by_key_and_a_tree_of_one_depth_take_one_round_trip() {
    let (fixture, proxy) = filled().await;
    let ann = fixture.em().find_one_or_fail::<Author>(Author::fields().name().eq("Ann"), ()).await.unwrap().id();
    let a1 = fixture.em().find_one_or_fail::<Book>(Book::fields().title().eq("A1"), ()).await.unwrap().id();
    for strategy in STRATEGIES {
        let em = fixture.em();
        fixture.forget();
        proxy.reset();
        let found =
            em.find_one_or_fail::<Author>(ann, ["books", "profile", "mentor"]).strategy(strategy).await.unwrap();
        assert_eq!(author(&found), "Ann \"about Ann\": A1 A2 A3");
        assert_eq!(mentors(&found), "Ann");
        let found = em.find_one_or_fail::<Book>(a1, ["tags"]).strategy(strategy).await.unwrap();
        assert_eq!(book_by(&found), "A1(a b) by Ann");
        assert_eq!(
            (fixture.log.round_trips(), proxy.round_trips()),
            (2, 2),
            "{strategy:?}: the book was there, its tags not"
        );
        let em = fixture.em();
        let found = em.find_one_or_fail::<Book>(a1, ["tags", "author", "shelf"]).strategy(strategy).await.unwrap();
        assert_eq!(book_by(&found), "A1(a b)@S by Ann");
        assert_eq!((fixture.log.round_trips(), proxy.round_trips()), (3, 3), "{strategy:?}");
        let em = fixture.em();
        let found =
            em.find_one_or_fail::<Depot>(("DE", 1), ["cartons", "carriers", "manager"]).strategy(strategy).await;
        assert_eq!(depot(&found.unwrap()), "DE1 Mia [x y] (Rail Road)");
        assert_eq!((fixture.log.round_trips(), proxy.round_trips()), (4, 4), "{strategy:?}");
        assert!(em.find_one::<Depot>(("DE", 7), ["cartons"]).strategy(strategy).await.unwrap().is_none());
        assert_eq!((fixture.log.round_trips(), proxy.round_trips()), (5, 5), "{strategy:?}");
    }
}

#[tokio::test]
async fn populate_of_what_is_there_loads_what_is_missing_by_every_strategy() {
    let fixture = &filled().await;
    let (fixture, proxy) = (&fixture.0, &fixture.1);
    for (strategy, cost) in STRATEGIES.into_iter().zip([(4, 2), (5, 3), (1, 1), (5, 1)]) {
        let em = fixture.em();
        let authors = em.find::<Author>().order_by(|a| a.name().asc()).await.unwrap();
        fixture.forget();
        proxy.reset();
        em.populate(&authors, ["books.tags", "books.shelf.books"]).strategy(strategy).await.unwrap();
        let expected = ["Ann: A1(a b)@S[A1 B1] A2(a) A3()", "Bea: B1(a b)@S[A1 B1] B2(b)"];
        assert_eq!(authors.iter().take(2).map(author).collect::<Vec<_>>(), expected);
        let trips = fixture.log.round_trips();
        assert_eq!((fixture.statements().len(), trips), cost, "{strategy:?}");
        // Everything is there.
        em.populate(&authors, ["books.tags", "books.shelf.books.author", "mentor"]).strategy(strategy).await.unwrap();
        assert_eq!(fixture.statements().len(), 0, "{strategy:?}");
        // Half of it is there.
        let em = fixture.em();
        let ann = em.find_one_or_fail::<Author>(Author::fields().name().eq("Ann"), ["books"]).await.unwrap();
        let authors = em.find::<Author>().order_by(|a| a.name().asc()).await.unwrap();
        fixture.forget();
        em.populate(&authors, ["books.tags"]).strategy(strategy).await.unwrap();
        let trips = fixture.log.round_trips();
        // The tags of Ann's books share a flight with the books of the others.
        let cost = if matches!(strategy, LoadStrategy::Balanced | LoadStrategy::SelectIn) { 2 } else { 1 };
        assert_eq!(trips, cost, "{strategy:?}");
        assert_eq!(author(&ann), "Ann: A1(a b) A2(a) A3()");
        assert_eq!(authors[0], ann);
        assert_eq!(author(&authors[1]), "Bea: B1(a b) B2(b)");
    }
}
