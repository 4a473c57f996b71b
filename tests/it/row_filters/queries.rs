//! The ways of the query builder, of sub-queries and of aggregates lead around the filters as little as those of finds.

use howdah::functions::exists;
use howdah::prelude::*;
use howdah::{Alias, Subquery};

use super::ways::{File, Folder, IN_FOLDERS, OF_READERS, OWN, Reader, Way, ids, none_leads_around};

#[derive(Projection, Debug)]
struct Number {
    id: i32,
}

const WAYS: &[(&str, &str, Way)] = &[
    ("entities", OWN, |em| Box::pin(async move { Ok(ids(&em.query::<File>().await?)) })),
    ("projections", OWN, |em| {
        Box::pin(
            async move { Ok(em.query::<File>().into::<Number>().await?.into_iter().map(|file| file.id).collect()) },
        )
    }),
    ("rows", OWN, |em| {
        Box::pin(
            async move { em.query::<File>().select(|f| f.id()).rows().await?.iter().map(|row| row.at(0)).collect() },
        )
    }),
    ("joined", IN_FOLDERS, |em| {
        Box::pin(em.query::<Folder>().join(|f| f.files().folder()).select(|f| f.files().id()).into_future())
    }),
    ("joined over a pivot table", OF_READERS, |em| {
        Box::pin(em.query::<Reader>().join(|r| r.files()).distinct().select(|r| r.files().id()).into_future())
    }),
    ("joined and missing", IN_FOLDERS, |em| {
        Box::pin(async move {
            let files = em.query::<Folder>().left_join(|f| f.files()).select(|f| f.files().id().nullable()).await?;
            Ok(files.into_iter().flatten().collect())
        })
    }),
    ("under another name", OWN, |em| {
        Box::pin(async move {
            let file = Alias::<File>::new();
            em.query::<Reader>().cross_join(&file).distinct().select(|_| file.fields().id()).await
        })
    }),
    ("another name's relation", IN_FOLDERS, |em| {
        Box::pin(async move {
            let file = Alias::<File>::new();
            let query = em.query::<Reader>().join_with(&file, |_, file| file.folder().tenant().is_not_null());
            query.distinct().select(|_| file.fields().id()).await
        })
    }),
    ("lateral", IN_FOLDERS, |em| {
        Box::pin(async move {
            let folder = em.query::<Folder>();
            let own =
                em.query::<File>().filter(|f| f.folder().id().eq(Folder::fields().id().outer())).select(|f| f.id());
            let table = own.as_table();
            let id = table.columns();
            folder.join_lateral(&table, |_, _| Condition::always()).select(|_| id).await
        })
    }),
    ("from a query", OWN, |em| {
        Box::pin(async move {
            let table = em.query::<File>().select(|f| f.id()).as_cte("files");
            let id = table.columns();
            em.query_from::<File, _>(&table).select(|_| id).await
        })
    }),
    ("recursive", OWN, |em| {
        Box::pin(async move {
            // Every file leads to all others of its folder's tenant.
            let first = em.query::<File>().order_by(|f| f.id().asc()).limit(1).select(|f| f.id());
            let table = first.recursive_distinct("reached", |reached| {
                em.query::<File>().join_with(reached, |f, id| f.id().gt(id)).select(|f| f.id())
            });
            let id = table.columns();
            em.query_from::<File, _>(&table).select(|_| id).await
        })
    }),
    ("distinct on", OWN, |em| {
        Box::pin(em.query::<File>().distinct_on(|f| f.id()).order_by(|f| f.id().asc()).select(|f| f.id()).into_future())
    }),
    ("intersect and except", OWN, |em| {
        Box::pin(async move {
            let all = || em.query::<File>().select(|f| f.id());
            let none = em.query::<File>().filter(|f| f.id().lt(0)).select(|f| f.id());
            all().intersect(all()).except(none).await
        })
    }),
    ("grouped", OWN, |em| {
        Box::pin(async move {
            let files = em.query::<File>().group_by(|f| f.tenant()).select(|f| f.id().array_agg()).await?;
            Ok(files.into_iter().flatten().flatten().collect())
        })
    }),
    ("aggregated", IN_FOLDERS, |em| {
        Box::pin(async move {
            let find = em.find::<Folder>().select(|f| (f.files().count(), f.files().id().array_agg()));
            let mut seen = Vec::new();
            for (count, files) in find.await? {
                let files: Vec<i32> = files.into_iter().flatten().collect();
                assert_eq!(i64::try_from(files.len()).unwrap(), count);
                seen.extend(files);
            }
            Ok(seen)
        })
    }),
    ("ordered by what is related", OWN, |em| {
        Box::pin(async move {
            let readers = em.count::<Reader>(()).await?;
            let found = em.find::<File>().order_by(|f| (f.readers().count().desc(), f.folder().tenant().asc())).await?;
            for file in &found {
                assert!(file.load_count(em, |f| f.readers()).await? <= readers);
            }
            Ok(ids(&found))
        })
    }),
    ("sub-queries", OWN, |em| {
        Box::pin(async move {
            let inside = Subquery::of::<File>().select(|f| f.id());
            let found = em.find::<File>().filter(|f| f.id().is_in(inside)).await?;
            for id in 1..=30 {
                let is_there = exists::<Reader>(Subquery::of::<File>().filter(|f| f.id().eq(id)));
                let query = exists::<Reader>(em.query::<File>().filter(|f| f.id().eq(id)));
                let reader = em.find::<Reader>().filter(|_| is_there & query).exists().await?;
                assert_eq!(reader, found.iter().any(|file| file.id() == id));
            }
            Ok(ids(&found))
        })
    }),
    ("inserted from a query", OWN, |em| {
        Box::pin(async move {
            em.begin().await?;
            let files = em.query::<File>().select(|f| (f.id() + 100, f.tenant()));
            let copies = files.insert_into::<Reader, _>(|r| (r.id(), r.tenant())).returning(|r| r.id()).await?;
            em.rollback().await?;
            Ok(copies.into_iter().map(|id| id - 100).collect())
        })
    }),
    ("returned from what is written", IN_FOLDERS, |em| {
        Box::pin(async move {
            em.begin().await?;
            let all = em.native_update::<File>().set_null(|f| f.deleted_at());
            let written = all.returning(|f| (f.id(), f.folder().tenant().nullable())).await?;
            em.rollback().await?;
            // Of a folder that is hidden there is nothing.
            Ok(written.into_iter().filter(|(_, folder)| folder.is_some()).map(|(id, _)| id).collect())
        })
    }),
    ("chains of relations together", OF_READERS, |em| {
        Box::pin(async move {
            let readers = em.find_all::<Reader>().await?;
            let mut seen = Vec::new();
            for reader in &readers {
                em.populate(reader, ["files.folder.files.readers"]).await?;
                seen.extend(ids(&reader.read().files.items().unwrap()));
            }
            Ok(seen)
        })
    }),
    ("apart from the identity map", OF_READERS, |em| {
        Box::pin(async move {
            let readers = em.find::<Reader>().populate(|r| r.files().folder()).disable_identity_map().await?;
            Ok(readers.iter().flat_map(|reader| ids(&reader.read().files.items().unwrap())).collect())
        })
    }),
];

#[tokio::test]
async fn no_query_leads_around_the_filters() {
    none_leads_around(WAYS).await;
}
