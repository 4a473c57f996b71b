//! Whatever way rows are read, a tenant sees its own that are not deleted, and nothing else: every way is compared with plain
//! SQL, for both tenants, for managers that know nothing and for those that have loaded everything before.

use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use howdah::LoadStrategy;
use howdah::prelude::*;

use crate::support::Fixture;

#[derive(Entity, Clone, Debug)]
#[filter(name = "tenant", condition = |f, tenant: i32| f.tenant().eq(tenant))]
#[filter(name = "not_deleted", condition = |f| f.deleted_at().is_null())]
pub struct Folder {
    #[primary_key(assigned)]
    pub id: i32,
    pub tenant: i32,
    pub deleted_at: Option<DateTime<Utc>>,
    #[one_to_many(mapped_by = folder)]
    pub files: Collection<File>,
}

#[derive(Entity, Clone, Debug)]
#[filter(name = "tenant", condition = |f, tenant: i32| f.tenant().eq(tenant))]
#[filter(name = "not_deleted", condition = |f| f.deleted_at().is_null())]
pub struct File {
    #[primary_key(assigned)]
    pub id: i32,
    pub tenant: i32,
    pub deleted_at: Option<DateTime<Utc>>,
    pub text: Lazy<String>,
    #[many_to_one(inversed_by = files)]
    pub folder: Ref<Folder>,
    #[many_to_many(inversed_by = files)]
    pub readers: Collection<Reader>,
}

#[derive(Entity, Clone, Debug)]
#[filter(name = "tenant", condition = |r, tenant: i32| r.tenant().eq(tenant))]
pub struct Reader {
    #[primary_key(assigned)]
    pub id: i32,
    pub tenant: i32,
    #[many_to_many(mapped_by = readers)]
    pub files: Collection<File>,
}

#[derive(Projection, Debug)]
struct FileCard {
    id: i32,
    folder: Option<Id>,
}

#[derive(Projection, Debug)]
struct FolderCard {
    files: Vec<FileCard>,
}

#[derive(Projection, Debug)]
struct Id {
    id: i32,
}

/// Everything is linked with everything: folders hold files of both tenants, and readers of both read them.
pub(super) const ROWS: &str = "
    INSERT INTO folder(id, tenant, deleted_at)
        SELECT n, 1 + n % 2, CASE WHEN n > 6 THEN now() END FROM generate_series(1, 8) n;
    INSERT INTO file(id, tenant, deleted_at, text, folder_id)
        SELECT n, 1 + n % 2, CASE WHEN n % 5 = 0 THEN now() END, 'text of ' || (1 + n % 2), 1 + n % 7
        FROM generate_series(1, 30) n;
    INSERT INTO reader(id, tenant) SELECT n, 1 + n % 2 FROM generate_series(1, 4) n;
    INSERT INTO file_readers(file_id, reader_id) SELECT f, r FROM generate_series(1, 30) f, generate_series(1, 4) r
        WHERE (f + r) % 3 > 0;
";

pub(super) const OWN: &str = "SELECT id FROM file f WHERE tenant = {t} AND deleted_at IS NULL";
pub(super) const IN_FOLDERS: &str = "SELECT id FROM file f WHERE tenant = {t} AND deleted_at IS NULL AND folder_id IN
    (SELECT id FROM folder WHERE tenant = {t} AND deleted_at IS NULL)";
pub(super) const OF_READERS: &str = "SELECT id FROM file f WHERE tenant = {t} AND deleted_at IS NULL AND id IN
    (SELECT file_id FROM file_readers JOIN reader r ON r.id = reader_id WHERE r.tenant = {t})";

pub(super) const LONG: Duration = Duration::from_secs(600);

pub(super) type Ids = Result<Vec<i32>, Error>;
pub(super) type Way = for<'a> fn(&'a EntityManager) -> BoxFuture<'a, Ids>;

pub(super) fn ids<'a, T: Entity<Id = i32>>(found: impl IntoIterator<Item = &'a Managed<T>>) -> Vec<i32> {
    found.into_iter().map(Managed::id).collect()
}

fn files_of<T: Entity>(found: &[Managed<T>], files: impl Fn(&T) -> &Collection<File>) -> Vec<i32> {
    found.iter().flat_map(|owner| ids(&files(&owner.read()).items().unwrap())).collect()
}

/// All pages, forward or backward.
async fn walk(find: Find<File>, backward: bool) -> Ids {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let pages = find.clone().cursor().with_total_count();
        let page = if backward { pages.last(2).before(&cursor) } else { pages.first(2).after(&cursor) }.await?;
        seen.extend(ids(&page.items));
        cursor = if backward { page.start_cursor } else { page.end_cursor };
        if !(if backward { page.has_prev_page } else { page.has_next_page }) {
            assert_eq!(page.total_count, Some(seen.len() as u64));
            return Ok(seen);
        }
    }
}

/// As many ids as were counted: only how many there are can be compared.
fn counted(count: u64) -> Vec<i32> {
    vec![-1; usize::try_from(count).unwrap()]
}

async fn populated(em: &EntityManager, strategy: LoadStrategy) -> Ids {
    let folders = em.find::<Folder>().populate(|f| (f.files().text(), f.files().folder())).strategy(strategy).await?;
    for folder in &folders {
        for file in folder.read().files.items().unwrap() {
            assert!(file.read().text.get().unwrap().starts_with("text of"));
            assert_eq!(file.read().folder.get().unwrap(), *folder);
        }
    }
    let readers = em.find::<Reader>().populate(|r| r.files().readers()).strategy(strategy).await?;
    let own = ids(&readers);
    for file in readers.iter().flat_map(|reader| reader.read().files.items().unwrap()) {
        assert!(ids(&file.read().readers.items().unwrap()).iter().all(|id| own.contains(id)));
    }
    Ok(files_of(&folders, |folder| &folder.files))
}

async fn populated_later(em: &EntityManager, strategy: LoadStrategy) -> Ids {
    let readers = em.find_all::<Reader>().await?;
    em.populate(&readers, ["files.folder"]).strategy(strategy).await?;
    let all = em.find::<Reader>().populate_names(["files"]).strategy(strategy).stream();
    let streamed: Vec<_> = futures_util::TryStreamExt::try_collect(all).await?;
    let seen = files_of(&readers, |reader| &reader.files);
    let mut again = files_of::<Reader>(&streamed, |reader| &reader.files);
    again.sort_unstable();
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    assert_eq!(again, sorted, "{strategy:?}");
    Ok(seen)
}

pub(super) const WAYS: &[(&str, &str, Way)] = &[
    ("find", OWN, |em| Box::pin(async move { Ok(ids(&em.find::<File>().await?)) })),
    ("find_all", OWN, |em| Box::pin(async move { Ok(ids(&em.find_all::<File>().await?)) })),
    ("find_one by key", OWN, |em| {
        Box::pin(async move {
            let mut seen = Vec::new();
            for id in 1..=30 {
                seen.extend(em.find_one::<File>(id, ()).await?.iter().map(Managed::id));
            }
            Ok(seen)
        })
    }),
    ("find_one with relations", OWN, |em| {
        Box::pin(async move {
            let mut seen = Vec::new();
            for id in 1..=30 {
                let file = em.find_one::<File>(id, ["text", "readers", "folder"]).await?;
                seen.extend(file.iter().map(|file| (file.id(), file.read().text.get().unwrap().len()).0));
            }
            Ok(seen)
        })
    }),
    ("find_one by condition", OWN, |em| {
        Box::pin(async move {
            let mut seen = Vec::new();
            for id in 1..=30 {
                seen.extend(em.find_one::<File>(File::fields().id().eq(id), ()).await?.iter().map(Managed::id));
            }
            Ok(seen)
        })
    }),
    ("stream", OWN, |em| {
        Box::pin(async move {
            let mut stream = em.find::<File>().populate(|f| f.text()).stream();
            let mut seen = Vec::new();
            while let Some(file) = stream.next().await {
                seen.push(file?.id());
            }
            Ok(seen)
        })
    }),
    ("pages", OWN, |em| Box::pin(walk(em.find::<File>().order_by(|f| f.folder().tenant().desc()), false))),
    ("pages backward", OWN, |em| Box::pin(walk(em.find::<File>().order_by(|f| f.text().asc()), true))),
    ("kept pages", OWN, |em| Box::pin(walk(em.find::<File>().cache(LONG), false))),
    ("find_and_count", OWN, |em| {
        Box::pin(async move {
            let (page, total) = em.find::<File>().find_and_count().await?;
            assert_eq!(page.len() as u64, total);
            Ok(ids(&page))
        })
    }),
    ("kept find_and_count", OWN, |em| {
        Box::pin(async move {
            let (page, total) = em.find::<File>().cache(LONG).find_and_count().await?;
            assert_eq!(page.len() as u64, total);
            Ok(ids(&page))
        })
    }),
    ("count", OWN, |em| Box::pin(async move { Ok(counted(em.count::<File>(()).await?)) })),
    ("kept count", OWN, |em| Box::pin(async move { Ok(counted(em.find::<File>().cache(LONG).count().await?)) })),
    ("exists", OWN, |em| {
        Box::pin(async move {
            let mut seen = Vec::new();
            for id in 1..=30 {
                let kept = em.find::<File>().filter(|f| f.id().eq(id)).cache(LONG).exists().await?;
                assert_eq!(em.exists::<File>(id).await?, kept);
                seen.extend(kept.then_some(id));
            }
            Ok(seen)
        })
    }),
    ("kept find", OWN, |em| Box::pin(async move { Ok(ids(&em.find::<File>().cache(LONG).await?)) })),
    ("kept tuples", OWN, |em| {
        Box::pin(async move {
            let rows = em.find::<File>().cache(LONG).select(|f| (f.id(), f.text())).await?;
            Ok(rows.into_iter().map(|(id, _)| id).collect())
        })
    }),
    ("kept projections", IN_FOLDERS, |em| {
        Box::pin(async move {
            let folders = em.find::<Folder>().cache(LONG).into::<FolderCard>().await?;
            let files: Vec<FileCard> = folders.into_iter().flat_map(|folder| folder.files).collect();
            assert!(files.iter().all(|file| file.folder.as_ref().is_some_and(|folder| folder.id <= 6)));
            Ok(files.iter().map(|file| file.id).collect())
        })
    }),
    ("joined query", IN_FOLDERS, |em| {
        Box::pin(em.query::<Folder>().join(|f| f.files()).select(|f| f.files().id()).into_future())
    }),
    ("union and sub-query", OWN, |em| {
        Box::pin(async move {
            let part = || em.query::<File>().select(|f| f.id());
            let seen = em.find::<File>().filter(|f| f.id().is_in(part())).select(|f| f.id());
            let table = part().as_cte("seen");
            let joined = em.query::<File>().join_with(&table, |f, id| f.id().eq(id)).select(|f| f.id());
            seen.union(joined).await
        })
    }),
    ("populate balanced", IN_FOLDERS, |em| Box::pin(populated(em, LoadStrategy::Balanced))),
    ("populate by select", IN_FOLDERS, |em| Box::pin(populated(em, LoadStrategy::SelectIn))),
    ("populate by join", IN_FOLDERS, |em| Box::pin(populated(em, LoadStrategy::Joined))),
    ("populate pipelined", IN_FOLDERS, |em| Box::pin(populated(em, LoadStrategy::Pipelined))),
    ("populate later balanced", OF_READERS, |em| Box::pin(populated_later(em, LoadStrategy::Balanced))),
    ("populate later by select", OF_READERS, |em| Box::pin(populated_later(em, LoadStrategy::SelectIn))),
    ("populate later by join", OF_READERS, |em| Box::pin(populated_later(em, LoadStrategy::Joined))),
    ("populate later pipelined", OF_READERS, |em| Box::pin(populated_later(em, LoadStrategy::Pipelined))),
    ("collections together", IN_FOLDERS, |em| {
        Box::pin(async move {
            let folders = em.find_all::<Folder>().await?;
            let loaded = join_all(folders.iter().map(|folder| folder.load(em, |f| f.files()))).await;
            loaded.into_iter().try_fold(Vec::new(), |seen, files| Ok([seen, ids(&files?)].concat()))
        })
    }),
    ("references together", OWN, |em| {
        Box::pin(async move {
            let references: Vec<Ref<File>> = (1..=30).map(|id| em.get_reference::<File>(id)).collect();
            let loaded = join_all(references.iter().map(|reference| reference.load(em))).await;
            let found = loaded.into_iter().filter(|file| !matches!(file, Err(Error::NotFound { .. })));
            found.map(|file| Ok(file?.id())).collect()
        })
    }),
    ("lazy columns together", OWN, |em| {
        Box::pin(async move {
            let files = em.find_all::<File>().await?;
            let texts = join_all(files.iter().map(|file| file.load(em, |f| f.text()))).await;
            for (file, text) in files.iter().zip(texts) {
                assert_eq!(text?, format!("text of {}", file.read().tenant));
            }
            Ok(ids(&files))
        })
    }),
    ("matching", IN_FOLDERS, |em| {
        Box::pin(async move {
            let mut seen = Vec::new();
            for folder in em.find_all::<Folder>().await? {
                let found = folder.matching(em, |f| f.files()).await?;
                assert_eq!(folder.load_count(em, |f| f.files()).await?, found.len() as u64);
                seen.extend(ids(&found));
            }
            Ok(seen)
        })
    }),
    ("some items", IN_FOLDERS, |em| {
        Box::pin(async move {
            let some =
                em.find::<Folder>().populate(|f| f.files().with(|files| files.order_by(|f| f.id().desc()).limit(50)));
            Ok(files_of(&some.await?, |folder| &folder.files))
        })
    }),
    ("conditions", IN_FOLDERS, |em| {
        Box::pin(async move {
            let mut seen = Vec::new();
            for id in 1..=30 {
                let found = em.find::<Folder>().filter(|f| f.files().some(|file| file.id().eq(id))).exists().await?;
                assert_eq!(em.find::<Folder>().filter(|f| f.files().id().eq(id)).count().await? > 0, found);
                seen.extend(found.then_some(id));
            }
            Ok(seen)
        })
    }),
    ("locked and refreshed", OWN, |em| {
        Box::pin(async move {
            em.begin().await?;
            let locked = ids(&em.find::<File>().lock(LockMode::PessimisticRead).await?);
            let refreshed = em.find::<File>().populate(|f| (f.folder(), f.text())).refresh().await?;
            assert_eq!(refreshed.len(), locked.len());
            em.rollback().await?;
            Ok(locked)
        })
    }),
    ("written in bulk", OWN, |em| {
        Box::pin(async move {
            em.begin().await?;
            let updated = ids(&em.native_update::<File>().set(|f| f.folder(), 1).returning_entities().await?);
            assert_eq!(em.query::<File>().update().set(|f| f.folder(), 2).await?, updated.len() as u64);
            let deleted = em
                .native_update::<File>()
                .filter(|f| f.folder().tenant().ne(9))
                .set(|f| f.deleted_at(), Some(Utc::now()));
            let in_folder = if em.exists::<Folder>(2).await? { updated.len() as u64 } else { 0 };
            assert_eq!(deleted.await?, in_folder);
            em.rollback().await?;
            em.begin().await?;
            let mut deleted = em.native_delete::<File>().returning(|f| f.id()).await?;
            deleted.sort_unstable();
            assert_eq!(deleted.len(), updated.len());
            em.rollback().await?;
            Ok(deleted)
        })
    }),
];

/// Everything there is, loaded without filters.
async fn everything(em: &EntityManager) -> (Vec<Managed<Folder>>, Vec<Managed<Reader>>) {
    let folders = em.find::<Folder>().populate(|f| f.files().text()).without_filters().await.unwrap();
    let readers = em.find::<Reader>().populate(|r| r.files().readers()).without_filters().await.unwrap();
    (folders, readers)
}

#[tokio::test]
async fn no_way_of_reading_leads_around_the_filters() {
    none_leads_around(WAYS).await;
}

/// Goes all ways, as either tenant, and compares what is seen with what plain SQL says that there is to see.
pub(super) async fn none_leads_around(ways: &[(&str, &str, Way)]) {
    let fixture = Fixture::new(entities![Folder, File, Reader]).await;
    fixture.database.execute(ROWS).await.unwrap();
    for (name, sql, way) in ways {
        for tenant in [1, 2] {
            let expected = fixture.rows(&format!("{} ORDER BY id", sql.replace("{t}", &tenant.to_string()))).await;
            assert!(expected.len() > 3, "{name}: there is something to see");
            for knows_all in [false, true] {
                let em = fixture.em();
                em.set_filter_params("tenant", tenant);
                let known = if knows_all { Some(everything(&em).await) } else { None };
                // The second time much is known, and nothing more is seen.
                for time in 1..=2 {
                    let at = format!("{name}, tenant {tenant}, knows all: {knows_all}, time {time}");
                    let mut seen = way(&em).await.unwrap_or_else(|error| panic!("{at}: {error}"));
                    seen.sort_unstable();
                    seen.dedup_by(|one, other| one == other && *one > 0);
                    if seen.first() == Some(&-1) {
                        assert_eq!(seen.len(), expected.len(), "{at}");
                        continue;
                    }
                    assert_eq!(seen.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{at}");
                }
                drop(known);
            }
        }
    }
}
