//! What is remembered of hidden rows leads to nothing more of them: handles that were got without the filter, and results
//! that were kept for somebody else.

use howdah::prelude::*;

use super::STRATEGIES;
use super::ways::{File, Folder, LONG, ROWS, Reader, WAYS};
use crate::support::Fixture;

#[tokio::test]
async fn a_handle_to_a_hidden_row_loads_nothing_more_of_it() {
    let fixture = Fixture::new(entities![Folder, File, Reader]).await;
    fixture.database.execute(ROWS).await.unwrap();
    for strategy in STRATEGIES {
        let em = fixture.em();
        em.set_filter_params("tenant", 1);
        // File 1 is of tenant 2, and known from a find without the filter.
        let hidden = em.find_one_or_fail::<File>(1, ()).without_filters().await.unwrap();
        let text = hidden.load(&em, |f| f.text()).await;
        assert!(text.is_err(), "{text:?}");
        let (texts, both) =
            futures_util::future::join(hidden.load(&em, |f| f.text()), hidden.load(&em, |f| f.text())).await;
        assert!(texts.is_err() && both.is_err());
        em.populate(&hidden, ["text"]).strategy(strategy).await.unwrap();
        assert!(matches!(hidden.read().text.get(), Err(Error::NotLoaded { .. })), "{strategy:?}");
        em.populate(&hidden, ["text"]).without_filter("tenant").strategy(strategy).await.unwrap();
        assert_eq!(hidden.read().text.get().unwrap(), "text of 2");
        // Where nobody has loaded anything, there is no count, either.
        let folder = em.find_one_or_fail::<Folder>(1, ()).without_filters().await.unwrap();
        let seen = folder.load_count(&em, |f| f.files()).await.unwrap();
        assert_eq!(folder.load(&em, |f| f.files()).await.unwrap().len() as u64, seen, "{strategy:?}");
        assert!(folder.read().files.items().unwrap().iter().all(|file| file.read().tenant == 1));
    }
}

#[tokio::test]
async fn a_tenant_never_gets_what_was_kept_for_another_one() {
    let fixture = Fixture::new(entities![Folder, File, Reader]).await;
    fixture.database.execute(ROWS).await.unwrap();
    let manager = |tenant: i32| {
        let em = fixture.em();
        em.set_filter_params("tenant", tenant);
        em
    };
    let kept: Vec<_> = WAYS.iter().filter(|(name, ..)| name.contains("kept")).collect();
    assert_eq!(kept.len(), 6);
    for (name, _, way) in kept {
        fixture.orm.clear_cache().await.unwrap();
        let mut answers = Vec::new();
        for tenant in [1, 2, 1, 2] {
            fixture.forget();
            let seen = way(&manager(tenant)).await.unwrap();
            // Asked once for each of them, and answered from memory then.
            assert_eq!(fixture.log.round_trips() > 0, answers.len() < 2, "{name}, tenant {tenant}");
            answers.push(seen);
        }
        assert_ne!(answers[0].len(), 0, "{name}");
        assert_eq!((&answers[0], &answers[1]), (&answers[2], &answers[3]), "{name}");
        let is_shared = answers[0].iter().any(|id| *id > 0 && answers[1].contains(id));
        assert!(!is_shared, "{name}: {answers:?}");
    }
    // A tenant of one call is as good as that of the manager, and so is none.
    let em = manager(1);
    let find = || em.find::<File>().cache(LONG);
    let theirs = find().with_filter("tenant", 2).find_and_count().await.unwrap();
    assert!(theirs.0.iter().all(|file| file.read().tenant == 2) && theirs.1 > 3);
    let all = find().without_filters().find_and_count().await.unwrap();
    assert_eq!((all.1, find().find_and_count().await.unwrap().1), (30, find().count().await.unwrap()));
    assert!(find().count().await.unwrap() < 30);
}
