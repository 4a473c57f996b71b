//! Rules C5 and C9: what a statement does not write as it was asked to is an error of its own, and nothing is committed.

use crate::support::Fixture;
use howdah::prelude::*;

mod triggers;

#[derive(Entity, Clone, Debug)]
pub struct Paper {
    #[primary_key]
    pub id: i64,
    pub title: String,
    pub pages: Option<i32>,
    #[version]
    pub version: i32,
    #[one_to_many(mapped_by = paper)]
    pub remarks: Collection<Remark>,
}

/// Without a version: only that it is there can be checked.
#[derive(Entity, Clone, Debug)]
pub struct Remark {
    #[primary_key]
    pub id: i64,
    pub text: String,
    #[many_to_one(inversed_by = remarks)]
    pub paper: Ref<Paper>,
}

/// Papers with a remark each.
async fn papers(count: i64) -> (Fixture, EntityManager, Vec<Managed<Paper>>, Vec<Managed<Remark>>) {
    let fixture = Fixture::new(entities![Paper, Remark]).await;
    let em = fixture.em();
    let papers: Vec<_> = (1..=count).map(|number| em.persist(NewPaper { title: format!("p{number}") })).collect();
    let remark = |paper: &Managed<Paper>| NewRemark { text: paper.read().title.clone(), paper: paper.to_ref() };
    let remarks = papers.iter().map(|paper| em.persist(remark(paper))).collect();
    em.flush().await.unwrap();
    fixture.forget();
    (fixture, em, papers, remarks)
}

/// The entities that an error names as stale, sorted.
fn stale(error: &Error) -> Vec<String> {
    let Error::OptimisticLock { entities } = error else { panic!("{error}") };
    let mut entities = entities.clone();
    entities.sort_unstable();
    entities
}

const STORED: &str =
    "SELECT p.id, title, pages, version, text FROM paper p LEFT JOIN remark r ON r.paper_id = p.id ORDER BY 1";

#[tokio::test]
async fn c9_of_a_thousand_rows_exactly_the_stale_ones_are_named() {
    let (fixture, em, papers, _) = papers(1000).await;
    let behind =
        "DELETE FROM remark; UPDATE paper SET version = 2 WHERE id IN (17, 500); DELETE FROM paper WHERE id = 999";
    fixture.database.execute(behind).await.unwrap();
    let before = fixture.rows(STORED).await;
    papers.iter().for_each(|paper| paper.write().pages = Some(1));
    let error = em.flush().await.unwrap_err();
    assert_eq!(stale(&error), ["Paper#17", "Paper#500", "Paper#999"]);
    assert_eq!(fixture.rows(STORED).await, before);
    assert_eq!(fixture.log.round_trips(), 1, "there was no other statement to ask about");

    fixture.forget();
    em.remove(&papers);
    let error = em.flush().await.unwrap_err();
    assert_eq!(stale(&error), ["Paper#17", "Paper#500", "Paper#999"]);
    assert_eq!(fixture.rows(STORED).await, before);
    for paper in [&papers[16], &papers[499], &papers[998]] {
        em.detach(paper);
    }
    assert_eq!(em.flush().await.unwrap().deleted, 997);
}

/// Changes papers so that there are several statements, of which rows 2, 4, 6 and remark 3 are stale.
async fn change(fixture: &Fixture, papers: &[Managed<Paper>], remarks: &[Managed<Remark>], em: &EntityManager) {
    let behind = "UPDATE paper SET version = version + 1 WHERE id IN (2, 4, 6); DELETE FROM remark WHERE id = 3";
    fixture.database.execute(behind).await.unwrap();
    papers[0].write().pages = Some(1);
    papers[1].write().pages = Some(1);
    papers[2].write().title += "!";
    papers[3].write().title += "!";
    em.remove(&remarks[4..6]);
    em.remove(&papers[4..6]);
    remarks[2].write().text += "!";
    em.persist(NewPaper { title: "new".into() });
}

const STALE: [&str; 4] = ["Paper#2", "Paper#4", "Paper#6", "Remark#3"];

#[tokio::test]
async fn c9_the_stale_rows_of_all_statements_are_named() {
    let (fixture, em, papers, remarks) = papers(7).await;
    change(&fixture, &papers, &remarks, &em).await;
    let before = fixture.rows(STORED).await;
    let error = em.flush().await.unwrap_err();
    assert_eq!(stale(&error), STALE);
    assert_eq!(fixture.log.round_trips(), 2, "one to fail, one to ask for the others");
    assert_eq!(fixture.rows(STORED).await, before);
    // All of them are read again, and it goes through.
    for paper in [&papers[1], &papers[3], &papers[5]] {
        em.refresh(paper).await.unwrap();
    }
    em.detach(&remarks[2]);
    em.remove(&papers[5]);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted), (1, 2, 4));
}

#[tokio::test]
async fn c9_they_are_named_wherever_the_flush_is() {
    // At the end of a transaction, at the end of a scope in it, and in the middle.
    for place in ["transaction", "scope", "flush"] {
        let (fixture, em, papers, remarks) = papers(7).await;
        let before = fixture.rows(STORED).await;
        let (papers, remarks, fixture) = (&papers, &remarks, &fixture);
        let result = em
            .transactional(async |em| match place {
                "transaction" => {
                    change(fixture, papers, remarks, &em).await;
                    Ok::<_, Error>(())
                }
                "scope" => {
                    let inner = em.transactional(async |em| {
                        change(fixture, papers, remarks, &em).await;
                        Ok::<_, Error>(())
                    });
                    let error = inner.await.unwrap_err();
                    assert_eq!(stale(&error), STALE);
                    assert!(papers.iter().all(|paper| !paper.is_dirty()), "D2");
                    Err(error)
                }
                _ => {
                    change(fixture, papers, remarks, &em).await;
                    let error = em.flush().await.unwrap_err();
                    assert_eq!(stale(&error), STALE);
                    // The transaction can go on.
                    assert_eq!(em.count::<Paper>(()).await?, 7);
                    Err(error)
                }
            })
            .await;
        assert_eq!(stale(&result.unwrap_err()), STALE, "{place}");
        let behind = fixture.rows(STORED).await;
        assert_eq!(behind.iter().zip(&before).filter(|(after, before)| after != before).count(), 4, "{place}");
    }
}

#[tokio::test]
async fn c9_what_the_transaction_has_written_itself_is_not_stale() {
    let (fixture, em, papers, remarks) = papers(7).await;
    let (papers, remarks, fixture) = (&papers, &remarks, &fixture);
    let result = em
        .transactional(async |em| {
            // Made and changed in this transaction: outside of it nobody knows.
            let new = em.persist(NewPaper { title: "own".into() });
            papers[6].write().pages = Some(7);
            em.flush().await?;
            new.write().pages = Some(1);
            papers[6].write().title = "own".into();
            change(fixture, papers, remarks, &em).await;
            Ok::<_, Error>(())
        })
        .await;
    let named = stale(&result.unwrap_err());
    assert_eq!(named, ["Paper#2", "Paper#4", "Paper#6"], "rows that have vanished cannot be told from own ones");
    assert!(papers.iter().all(|paper| paper.read().version == 1 && paper.read().pages.is_none()), "D2");
}

#[tokio::test]
async fn c9_no_update_is_lost_between_two_managers() {
    let (fixture, one, papers, remarks) = papers(2).await;
    em_remove(&one, remarks).await;
    for remove in [false, true] {
        let two = fixture.em();
        let seen = two.find_one_or_fail::<Paper>(papers[0].id(), ()).await.unwrap();
        // The first has written, and has not committed.
        one.begin().await.unwrap();
        papers[0].write().title += " by one";
        one.flush().await.unwrap();
        if remove {
            two.remove(&seen);
        } else {
            seen.write().title += " by two";
        }
        let second = tokio::spawn({
            let two = two.clone();
            async move { two.flush().await }
        });
        // It waits for the lock of the row.
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while fixture.rows(waiting).await != ["1"] {
            tokio::task::yield_now().await;
        }
        assert!(!second.is_finished());
        one.commit().await.unwrap();
        let error = second.await.unwrap().unwrap_err();
        assert_eq!(stale(&error), [format!("Paper#{}", seen.id())]);
        let title = fixture.rows("SELECT title FROM paper ORDER BY id").await.remove(0);
        assert!(title.ends_with(" by one") && !title.contains("two"), "{title}");
    }
    // If the first does not commit, the second goes through.
    let two = fixture.em();
    let seen = two.find_one_or_fail::<Paper>(papers[0].id(), ()).await.unwrap();
    one.begin().await.unwrap();
    papers[0].write().title = "never".into();
    one.flush().await.unwrap();
    seen.write().title = "two".into();
    let second = tokio::spawn({
        let two = two.clone();
        async move { two.flush().await }
    });
    one.rollback().await.unwrap();
    assert_eq!(second.await.unwrap().unwrap().updated, 1);
    assert_eq!(fixture.rows("SELECT title FROM paper ORDER BY id").await[0], "two");
}

async fn em_remove(em: &EntityManager, remarks: Vec<Managed<Remark>>) {
    em.remove(&remarks);
    em.flush().await.unwrap();
}

#[tokio::test]
async fn c9_of_many_writers_of_one_row_each_success_counts_once() {
    let (fixture, _, _, _) = papers(3).await;
    let writers = (0..6).map(|_| {
        let em = fixture.em();
        tokio::spawn(async move {
            let mut written = 0;
            for _ in 0..15 {
                let em = em.fork();
                let papers = em.find::<Paper>().order_by(|p| p.id().asc()).await.unwrap();
                tokio::task::yield_now().await;
                papers.iter().for_each(|paper| paper.update(|p| p.pages = Some(p.pages.unwrap_or(0) + 1)));
                match em.flush().await {
                    Ok(summary) => {
                        assert_eq!(summary.updated, 3);
                        written += 1;
                    }
                    Err(Error::OptimisticLock { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            written
        })
    });
    let mut written = 0;
    for writer in writers.collect::<Vec<_>>() {
        written += writer.await.unwrap();
    }
    assert!(written > 0);
    let counted = format!("{written}|{}", written + 1);
    assert_eq!(fixture.rows("SELECT DISTINCT pages, version FROM paper").await, [counted]);
}
