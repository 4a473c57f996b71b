//! How many rows there are, with and without the rows.

use super::reading::Reading;
use super::{EntityManager, Find, handles};
use crate::entity::{Entity, FieldPath, Managed};
use crate::error::Error;
use crate::manager::cache::Answered;
use crate::manager::loading::Loading;
use crate::query::{Criteria, CriteriaKind, FindPlan};
use crate::sql::{self, Expression, Selection, Shape};

impl<T: Entity> Find<T> {
    /// How many rows fulfil the filters, without limit and offset. One statement: `SELECT count(*)`.
    ///
    /// # Errors
    /// [`Error::Validation`] with a [`lock`](Self::lock); what the server answered.
    pub async fn count(self) -> Result<u64, Error> {
        self.plan.check_unlocked("count()")?;
        self.em.count_plan(&self.plan).await
    }

    /// Whether some row fulfils the filters. One statement: `SELECT EXISTS (…)`.
    ///
    /// # Errors
    /// [`Error::Validation`] with a [`lock`](Self::lock); what the server answered.
    pub async fn exists(self) -> Result<bool, Error> {
        self.plan.check_unlocked("exists()")?;
        self.em.exists_plan(&self.plan).await
    }

    /// The entities, and how many there would be without limit and offset: a page, and of how many rows it is one.
    ///
    /// Two statements in one round trip: the rows, and `SELECT count(*)`. (One statement with `count(*) OVER ()` would say
    /// nothing of how many there are when the page is empty, and would have the server sort and carry all of them.) Outside
    /// of a `REPEATABLE READ` transaction, a row that is committed by somebody else in between is in one of them only.
    ///
    /// # Errors
    /// As awaiting the find.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// use howdah::prelude::*;
    ///
    /// #[derive(Entity, Clone, Debug)]
    /// pub struct Track {
    ///     #[primary_key]
    ///     pub id: i64,
    ///     pub title: String,
    /// }
    ///
    /// # let orm = Orm::builder().url(&url).entities(entities![Track]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// em.persist(["One", "Two", "Three"].map(|title| NewTrack { title: title.into() }));
    /// em.flush().await?;
    /// let (page, total) = em.find::<Track>().order_by(|t| t.id().asc()).limit(2).find_and_count().await?;
    /// assert_eq!((page.len(), total), (2, 3));
    /// # Ok(())
    /// # });
    /// ```
    pub async fn find_and_count(self) -> Result<(Vec<Managed<T>>, u64), Error> {
        let graph = self.em.graph_of(&self.plan);
        let reading = Reading::of(&self.em, &graph, &self.plan)?;
        let page = sql::select(&reading.view, &self.plan.selection, &Shape::of(reading.entity))?;
        let count = sql::count(&reading.view, &self.plan.selection)?;
        let (flight, answers) = reading.question().answers(&[page, count]).await?;
        let mut hydrator = reading.hydrator();
        if let Some(page) = answers.first() {
            page.chunk().hydrate(&mut hydrator)?;
        }
        let total = answers.last().map(count_of).unwrap_or_default();
        let cells = reading.load_along(flight, hydrator.finish().0).await?;
        Ok((handles(&graph, cells), total))
    }
}

impl EntityManager {
    /// How many rows match: a key, a condition, or `()` for all. One statement: `SELECT count(*)`.
    ///
    /// # Errors
    /// What the server answered.
    pub fn count<T: Entity>(&self, criteria: impl Criteria<T>) -> Loading<Result<u64, Error>> {
        let mut plan = FindPlan::of(with_criteria::<T>(criteria));
        let em = self.clone();
        Loading::new(async move |options| {
            plan.options.filters = options.filters;
            em.count_plan(&plan).await
        })
    }

    /// Whether a row matches: a key, a condition, or `()` for any. One statement: `SELECT EXISTS (…)`.
    ///
    /// # Errors
    /// What the server answered.
    pub fn exists<T: Entity>(&self, criteria: impl Criteria<T>) -> Loading<Result<bool, Error>> {
        let mut plan = FindPlan::of(with_criteria::<T>(criteria));
        let em = self.clone();
        Loading::new(async move |options| {
            plan.options.filters = options.filters;
            em.exists_plan(&plan).await
        })
    }

    async fn count_plan(&self, plan: &FindPlan) -> Result<u64, Error> {
        let graph = self.graph();
        let reading = Reading::of(self, &graph, plan)?;
        let statement = sql::count(&reading.view, &plan.selection)?;
        let (_, answers) = reading.question().answers(&[statement]).await?;
        Ok(answers.first().map(count_of).unwrap_or_default())
    }

    async fn exists_plan(&self, plan: &FindPlan) -> Result<bool, Error> {
        let graph = self.graph();
        let reading = Reading::of(self, &graph, plan)?;
        let statement = sql::exists(&reading.view, &plan.selection)?;
        let (_, answers) = reading.question().answers(&[statement]).await?;
        Ok(answers.first().is_some_and(is_true))
    }
}

/// What `EXISTS` has said.
pub(in crate::manager) fn is_true(answer: &Answered) -> bool {
    answer.first_column().as_deref() == Some(&[1])
}

/// What `count(*)` has said.
pub(in crate::manager) fn count_of(answer: &Answered) -> u64 {
    let count = answer.first_column().and_then(|raw| raw.as_ref().try_into().ok()).map(i64::from_be_bytes);
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
}

fn with_criteria<T: Entity>(criteria: impl Criteria<T>) -> Selection {
    let expression = match criteria.into_kind() {
        CriteriaKind::Condition(expression) => *expression,
        CriteriaKind::Key(key) => Expression::Key { path: FieldPath::root(T::meta), keys: vec![key] },
        CriteriaKind::Nothing => Expression::Any(Vec::new()),
    };
    Selection { filter: vec![expression], ..Selection::all(T::meta()) }
}
