//! Pages by cursors: where a page ends is the place where the next one begins, whatever is inserted or deleted meanwhile.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::count::{count_of, is_true};
use super::reading::Reading;
use super::{Cells, EntityManager, Find, handles};
use crate::entity::{Entity, Managed};
use crate::error::Error;
use crate::query::{CursorForm, FindPlan};
use crate::sql::{self, PageOrder, RowPlace, Side, Window};
use crate::unit_of_work::UnitOfWork;

/// A find that answers with one page, made by [`Find::cursor`]. `.await` runs it.
#[must_use = "a find does nothing until it is awaited"]
#[derive(Clone)]
pub struct CursorFind<T: Entity> {
    find: Find<T>,
    request: Request,
}

/// Which page is asked for.
#[derive(Clone, Debug, Default)]
struct Request {
    first: Option<u64>,
    last: Option<u64>,
    after: Option<String>,
    before: Option<String>,
    total: bool,
}

/// The entities of one page, and where it stands among the others.
pub struct Page<T: Entity> {
    /// The entities, in the order of the find, also where they were counted from the end.
    pub items: Vec<Managed<T>>,
    /// Whether there are rows behind the last item.
    pub has_next_page: bool,
    /// Whether there are rows in front of the first item.
    pub has_prev_page: bool,
    /// The cursor of the first item, for [`before`](CursorFind::before); `None` of an empty page.
    pub start_cursor: Option<String>,
    /// The cursor of the last item, for [`after`](CursorFind::after); `None` of an empty page.
    pub end_cursor: Option<String>,
    /// How many rows all pages together have, if that was [asked for](CursorFind::with_total_count).
    pub total_count: Option<u64>,
    form: CursorForm,
    places: Vec<RowPlace>,
}

impl<T: Entity> Page<T> {
    /// The cursor of one of the page's items.
    ///
    /// # Errors
    /// [`Error::Validation`] for an entity that is not on the page.
    pub fn cursor_for(&self, item: &Managed<T>) -> Result<String, Error> {
        let place = self.items.iter().position(|other| other == item).and_then(|index| self.places.get(index));
        let missing = || {
            let name = T::meta().name;
            Error::validation(name, format!("{item:?} is not on this page: cursor_for() takes one of its items"))
        };
        place.map(|place| self.form.write(place)).ok_or_else(missing)
    }
}

impl<T: Entity> fmt::Debug for Page<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("items", &self.items)
            .field("has_next_page", &self.has_next_page)
            .field("has_prev_page", &self.has_prev_page)
            .field("total_count", &self.total_count)
            .finish_non_exhaustive()
    }
}

impl<T: Entity> Find<T> {
    /// Answers with one page of the rows: the [first](CursorFind::first) ones [after](CursorFind::after) a cursor, or the
    /// [last](CursorFind::last) ones [before](CursorFind::before) one. The page begins behind the row that the cursor was
    /// made of, also if that row is gone, and whatever was inserted in front of it; the server reads no more than the page
    /// where an index fits the order.
    ///
    /// The order is that of [`order_by`](Self::order_by): columns and expressions of the entity and over relations, in any
    /// directions, with NULL first or last. Where rows are equal in them, they are in the order of their keys, in the
    /// direction of the last term. SQL by hand needs a type (`raw(…).as_::<i32>()`); window functions, and what changes by
    /// itself (`now()`, `random()`), leave no row in its place and are refused.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// use howdah::prelude::*;
    ///
    /// #[derive(Entity, Clone, Debug)]
    /// pub struct Photo {
    ///     #[primary_key]
    ///     pub id: i64,
    ///     pub likes: i32,
    /// }
    ///
    /// # let orm = Orm::builder().url(&url).entities(entities![Photo]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// em.persist([5, 1, 5, 3].map(|likes| NewPhoto { likes }));
    /// em.flush().await?;
    /// let best = em.find::<Photo>().order_by(|p| p.likes().desc());
    /// let page = best.clone().cursor().first(2).await?;
    /// assert_eq!(page.items.iter().map(|p| p.read().likes).collect::<Vec<_>>(), [5, 5]);
    /// assert!(page.has_next_page && !page.has_prev_page);
    /// let next = best.cursor().first(2).after(page.end_cursor).with_total_count().await?;
    /// assert_eq!(next.items.iter().map(|p| p.read().likes).collect::<Vec<_>>(), [3, 1]);
    /// assert!(!next.has_next_page && next.has_prev_page);
    /// assert_eq!(next.total_count, Some(4));
    /// # Ok(())
    /// # });
    /// ```
    pub fn cursor(self) -> CursorFind<T> {
        CursorFind { find: self, request: Request::default() }
    }
}

impl<T: Entity> CursorFind<T> {
    /// At most this many rows, counted from the start, or from [`after`](Self::after) a cursor.
    pub const fn first(mut self, rows: u64) -> Self {
        self.request.first = Some(rows);
        self
    }

    /// At most this many rows, counted from the end, or from [`before`](Self::before) a cursor. They come in the order of
    /// the find.
    pub const fn last(mut self, rows: u64) -> Self {
        self.request.last = Some(rows);
        self
    }

    /// The rows behind that of a cursor; `None` for all.
    pub fn after(mut self, cursor: impl IntoCursor) -> Self {
        self.request.after = cursor.into_cursor();
        self
    }

    /// The rows in front of that of a cursor; `None` for all.
    pub fn before(mut self, cursor: impl IntoCursor) -> Self {
        self.request.before = cursor.into_cursor();
        self
    }

    /// Counts the rows of all pages along, with another statement in the same round trip.
    pub const fn with_total_count(mut self) -> Self {
        self.request.total = true;
        self
    }
}

impl<T: Entity> fmt::Debug for CursorFind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CursorFind").field("find", &self.find).field("page", &self.request).finish()
    }
}

/// One round trip for the page, and those of what is populated. Where a cursor is given, whether there are rows on its other
/// side is asked in the same trip.
///
/// # Errors
/// [`Error::Validation`], before anything is sent: for a cursor that cannot be read or was made for another order, for
/// `first` and `last` together, for a find with `limit` or `offset`, and for an order in which a row has no place; otherwise
/// as awaiting the [`Find`].
impl<T: Entity> IntoFuture for CursorFind<T> {
    type Output = Result<Page<T>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Find { em, plan, .. } = &self.find;
            let graph = em.graph_of(plan);
            let found = em.page_plan(&graph, plan, &self.request).await?;
            let cursor = |place: Option<&RowPlace>| place.map(|place| found.form.write(place));
            Ok(Page {
                start_cursor: cursor(found.places.first()),
                end_cursor: cursor(found.places.last()),
                items: handles(&graph, found.cells),
                has_next_page: found.has_next,
                has_prev_page: found.has_previous,
                total_count: found.total,
                form: found.form,
                places: found.places,
            })
        })
    }
}

/// A page without its type.
struct Found {
    cells: Cells,
    has_next: bool,
    has_previous: bool,
    total: Option<u64>,
    form: CursorForm,
    places: Vec<RowPlace>,
}

impl Request {
    /// # Errors
    /// [`Error::Validation`] for what contradicts itself, and cursors that do not fit.
    fn window(&self, plan: &FindPlan, order: &PageOrder, form: &CursorForm) -> Result<Window, Error> {
        let name = plan.selection.meta.name;
        if self.first.is_some() && self.last.is_some() {
            return Err(Error::validation(name, "a page is counted from one end: give first(n) or last(n), not both"));
        }
        if plan.selection.limit.is_some() || plan.selection.offset.is_some() {
            let message = "a page by cursor has no limit() and offset(): first(n) or last(n) say how many rows it has";
            return Err(Error::validation(name, message));
        }
        let read = |cursor: &Option<String>| -> Result<Option<RowPlace>, Error> {
            cursor.as_ref().map(|cursor| form.read(cursor, order, name)).transpose()
        };
        Ok(Window {
            after: read(&self.after)?,
            before: read(&self.before)?,
            backward: self.last.is_some(),
            rows: self.first.or(self.last),
        })
    }
}

impl EntityManager {
    async fn page_plan(&self, graph: &Arc<UnitOfWork>, plan: &FindPlan, request: &Request) -> Result<Found, Error> {
        let reading = Reading::of(self, graph, plan)?;
        let (view, selection) = (&reading.view, &plan.selection);
        let order = PageOrder::of(view, selection)?;
        let form = CursorForm::of(&order);
        let window = request.window(plan, &order, &form)?;
        let mut statements = vec![sql::page(view, selection, &window)?];
        // What is on the other side of a cursor: the cursor's own row, at least, unless it is gone.
        let mut ask = |place: &Option<RowPlace>, side| -> Result<Option<usize>, Error> {
            let Some(place) = place else { return Ok(None) };
            statements.push(sql::exists_beyond(view, selection, place, side)?);
            Ok(Some(statements.len() - 1))
        };
        let earlier = ask(&window.after, Side::Before)?;
        let later = ask(&window.before, Side::After)?;
        let total = request.total.then_some(statements.len());
        if request.total {
            statements.push(sql::count(view, selection)?);
        }
        let (flight, mut answers) = reading.question().answers(&statements).await?;
        let is_beyond = |index: Option<usize>| index.and_then(|index| answers.get(index)).is_some_and(is_true);
        let (is_earlier, is_later) = (is_beyond(earlier), is_beyond(later));
        let total = total.map(|index| answers.get(index).map(count_of).unwrap_or_default());

        let wanted = window.rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or(usize::MAX);
        let (mut hydrator, mut places, mut has_more) = (reading.hydrator(), Vec::new(), false);
        if let Some(found) = answers.first_mut() {
            has_more = found.len() > wanted;
            found.truncate(wanted);
            found.chunk().hydrate(&mut hydrator)?;
            places = found.columns(reading.entity.width..reading.entity.width + order.width());
        }
        let mut cells = hydrator.finish().0;
        if window.backward {
            cells.reverse();
            places.reverse();
        }
        let (has_next, has_previous) =
            if window.backward { (is_later, has_more || is_earlier) } else { (has_more || is_later, is_earlier) };
        let cells = reading.load_along(flight, cells).await?;
        Ok(Found { cells, has_next, has_previous, total, form, places })
    }
}

/// What a cursor can be given as: the string, or an `Option` of it.
#[diagnostic::on_unimplemented(
    message = "a cursor cannot be given as `{Self}`",
    label = "expected a string, or an Option"
)]
pub trait IntoCursor {
    /// The string, if there is one.
    fn into_cursor(self) -> Option<String>;
}

macro_rules! cursor_forms {
    ($($type:ty: $cursor:ident => $form:expr;)*) => {$(
        impl IntoCursor for $type {
            fn into_cursor(self) -> Option<String> {
                let $cursor = self;
                $form
            }
        }
    )*};
}

cursor_forms! {
    &str: cursor => Some(cursor.to_owned());
    String: cursor => Some(cursor);
    &String: cursor => Some(cursor.clone());
    Option<String>: cursor => cursor;
    &Option<String>: cursor => cursor.clone();
    Option<&str>: cursor => cursor.map(str::to_owned);
    Option<&String>: cursor => cursor.cloned();
}
