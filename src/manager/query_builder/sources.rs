//! What stands in the FROM list: relations, tables under names of their own, the rows of other queries.

use super::QueryBuilder;
use crate::entity::{Entity, Managed};
use crate::manager::EntityManager;
use crate::manager::find::fields;
use crate::query::{Condition, DerivedTable, IntoCondition, JoinPath, JoinSource, OutputRow};
use crate::sql::{Join, JoinKind, Joined, SetOperator};

impl EntityManager {
    /// Starts a query of the rows of another one: `SELECT … FROM (SELECT …)`, or `FROM` a common table expression. What is
    /// selected are the columns of `table`: `let (name, total) = table.columns();`.
    ///
    /// `T` is the entity whose query it would be; its fields are not there.
    pub fn query_from<T: Entity, O: OutputRow>(&self, table: &DerivedTable<O>) -> QueryBuilder<T, Managed<T>> {
        let mut query = self.query::<T>();
        query.query.from = Some(JoinSource::<T>::source(table));
        query
    }
}

impl<T: Entity, O: Send + 'static> QueryBuilder<T, O> {
    fn joined(mut self, kind: JoinKind, lateral: bool, joined: Joined, on: Option<Condition<T>>) -> Self {
        let on = on.into_iter().map(|condition| condition.expression).collect();
        self.query.joins.push(Join { kind, lateral, joined, on });
        self
    }

    fn with<S: JoinSource<T>, C: IntoCondition<T>>(
        self,
        kind: JoinKind,
        lateral: bool,
        source: &S,
        on: impl FnOnce(T::Fields<T>, S::Columns) -> C,
    ) -> Self {
        let on = on(fields::<T>(), source.join_columns()).into_condition();
        self.joined(kind, lateral, Joined::Source(source.source()), Some(on))
    }

    fn along<P: JoinPath<T>>(self, kind: JoinKind, relation: impl FnOnce(T::Fields<T>) -> P) -> Self {
        let path = relation(fields::<T>()).into_path();
        self.joined(kind, false, Joined::Relation(path), None)
    }

    /// Joins what relations lead to: `JOIN`. There is a row for each related row, and none where there is no related row.
    /// All relations of the path are joined; from then on, fields behind a to-many relation are columns.
    pub fn join<P: JoinPath<T>>(self, relation: impl FnOnce(T::Fields<T>) -> P) -> Self {
        self.along(JoinKind::Inner, relation)
    }

    /// Like [`join`](Self::join), but with one row where there is no related row: `LEFT JOIN`. What is selected of it is then
    /// NULL: say `nullable()`. To-one relations need not be joined for that.
    pub fn left_join<P: JoinPath<T>>(self, relation: impl FnOnce(T::Fields<T>) -> P) -> Self {
        self.along(JoinKind::Left, relation)
    }

    /// Joins a table under a name of its own, or the rows of another query, where a condition holds: `JOIN … ON …`.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// # use howdah::prelude::*;
    /// # use howdah::Alias;
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct Player { #[primary_key] pub id: i64, pub name: String, pub points: i32 }
    /// # let orm = Orm::builder().url(&url).entities(entities![Player]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// # for (name, points) in [("ada", 3), ("grace", 3), ("alan", 2)] {
    /// #     em.persist(NewPlayer { name: name.into(), points });
    /// # }
    /// # em.flush().await?;
    /// let other = Alias::<Player>::new();
    /// let draws = em
    ///     .query::<Player>()
    ///     .join_with(&other, |p, other| p.points().eq(other.points()).and(p.id().lt(other.id())))
    ///     .select(|p| (p.name(), other.fields().name()));
    /// assert_eq!(draws.await?, [("ada".to_owned(), "grace".to_owned())]);
    /// # Ok(())
    /// # });
    /// ```
    pub fn join_with<S: JoinSource<T>, C: IntoCondition<T>>(
        self,
        source: &S,
        on: impl FnOnce(T::Fields<T>, S::Columns) -> C,
    ) -> Self {
        self.with(JoinKind::Inner, false, source, on)
    }

    /// Like [`join_with`](Self::join_with), but with one row where no row of the other side fulfils the condition:
    /// `LEFT JOIN … ON …`.
    pub fn left_join_with<S: JoinSource<T>, C: IntoCondition<T>>(
        self,
        source: &S,
        on: impl FnOnce(T::Fields<T>, S::Columns) -> C,
    ) -> Self {
        self.with(JoinKind::Left, false, source, on)
    }

    /// Joins a query that is run for each row, and sees its columns as `outer()`: `JOIN LATERAL (…) ON …`.
    pub fn join_lateral<S: JoinSource<T>, C: IntoCondition<T>>(
        self,
        source: &S,
        on: impl FnOnce(T::Fields<T>, S::Columns) -> C,
    ) -> Self {
        self.with(JoinKind::Inner, true, source, on)
    }

    /// Like [`join_lateral`](Self::join_lateral), but with one row where the query has none: `LEFT JOIN LATERAL (…) ON …`.
    pub fn left_join_lateral<S: JoinSource<T>, C: IntoCondition<T>>(
        self,
        source: &S,
        on: impl FnOnce(T::Fields<T>, S::Columns) -> C,
    ) -> Self {
        self.with(JoinKind::Left, true, source, on)
    }

    /// Every row with every row of the other side: `CROSS JOIN`.
    pub fn cross_join<S: JoinSource<T>>(self, source: &S) -> Self {
        self.joined(JoinKind::Cross, false, Joined::Source(source.source()), None)
    }
}

impl<T: Entity, O: OutputRow> QueryBuilder<T, O> {
    /// The rows as a table that other queries can join: `(SELECT …) AS …`.
    #[must_use]
    pub fn as_table(self) -> DerivedTable<O> {
        DerivedTable::of_query(self.into_part())
    }

    /// The rows as a common table expression, `WITH name AS (SELECT …)`: it stands in front of the statement of every query
    /// that joins it. The name must not be that of an entity's table.
    #[must_use]
    pub fn as_cte(self, name: &str) -> DerivedTable<O> {
        DerivedTable::of_cte(name, self.into_part())
    }

    /// A recursive common table expression: these rows, and then, again and again, those that `step` makes of the ones before
    /// (`UNION ALL`), until there are no more. Of a graph with circles, use [`recursive_distinct`](Self::recursive_distinct).
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// # use howdah::prelude::*;
    /// # use howdah::functions::value;
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct Employee {
    /// #     #[primary_key] pub id: i64,
    /// #     pub name: String,
    /// #     #[many_to_one] pub boss: Option<Ref<Employee>>,
    /// # }
    /// # let orm = Orm::builder().url(&url).entities(entities![Employee]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// # let ada = em.persist(NewEmployee { name: "ada".into() });
    /// # let bob = em.persist(NewEmployee { name: "bob".into() }.with(|e| e.boss = Some(ada.to_ref())));
    /// # em.flush().await?;
    /// let heads = em.query::<Employee>().filter(|e| e.boss().is_null()).select(|e| (e.id(), value(0)));
    /// let tree = heads.recursive("tree", |tree| {
    ///     em.query::<Employee>()
    ///         .join_with(tree, |e, (id, _)| e.boss().id().eq(id))
    ///         .select(|e| (e.id(), tree.columns().1 + 1))
    /// });
    /// let (_, depth) = tree.columns();
    /// let employees = em
    ///     .query::<Employee>()
    ///     .join_with(&tree, |e, (id, _)| e.id().eq(id))
    ///     .select(|e| (e.name(), depth))
    ///     .order_by_result(|(_, depth)| depth.asc());
    /// assert_eq!(employees.await?, [("ada".to_owned(), 0), ("bob".to_owned(), 1)]);
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn recursive<U: Entity>(
        self,
        name: &str,
        step: impl FnOnce(&DerivedTable<O>) -> QueryBuilder<U, O>,
    ) -> DerivedTable<O> {
        DerivedTable::recursive(name, self.into_part(), SetOperator::UnionAll, |table| step(table).into_part())
    }

    /// Like [`recursive`](Self::recursive), but with each row once (`UNION`): it ends also where rows lead to rows that
    /// were there before.
    #[must_use]
    pub fn recursive_distinct<U: Entity>(
        self,
        name: &str,
        step: impl FnOnce(&DerivedTable<O>) -> QueryBuilder<U, O>,
    ) -> DerivedTable<O> {
        DerivedTable::recursive(name, self.into_part(), SetOperator::Union, |table| step(table).into_part())
    }
}
