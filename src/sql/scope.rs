//! The FROM lists that a term stands in, from the inside out.
//!
//! A query, and each sub-query, is a level of its own: its paths start at its entity. Within a level, a path over a to-many
//! relation opens a further FROM list for the rows that it leads to; whatever goes over the same relation finds these rows
//! there, and everything else is found further out.

/// One FROM list: the entity that it starts with, and what was joined to it.
struct Frame {
    alias: String,
    entity: usize,
    /// What was joined, by the path from the frame's entity.
    joined: Vec<(Vec<u16>, String)>,
    sql: String,
    /// The frame around this one.
    parent: Option<usize>,
    /// The path from the level's start to the frame's entity.
    prefix: Vec<u16>,
    is_level: bool,
    /// What was joined under a name of its own: its number. 0 for the entity that the level is of.
    source: u32,
}

/// The FROM lists around a term. The current one is where it stands.
pub(super) struct Scope {
    frames: Vec<Frame>,
    current: usize,
}

/// A frame to come back to.
pub(super) struct Entered(usize);

impl Scope {
    /// A query of an entity.
    pub(super) fn new(alias: String, entity: usize) -> Self {
        let mut scope = Self { frames: Vec::new(), current: 0 };
        scope.push(alias, entity, (0, Vec::new()), true, None);
        scope
    }

    fn push(
        &mut self,
        alias: String,
        entity: usize,
        (source, prefix): (u32, Vec<u16>),
        is_level: bool,
        parent: Option<usize>,
    ) {
        self.current = self.frames.len();
        let (joined, sql) = (Vec::new(), String::new());
        self.frames.push(Frame { alias, entity, joined, sql, parent, prefix, is_level, source });
    }

    fn frame(&self, index: usize) -> &Frame {
        &self.frames[index]
    }

    /// The alias of the entity that the current FROM list starts with.
    pub(super) fn alias(&self) -> &str {
        &self.frame(self.current).alias
    }

    /// The joins, to be put behind the current FROM list's first entry.
    pub(super) fn joins(&self) -> &str {
        &self.frame(self.current).sql
    }

    /// Opens a query of its own inside of the current one.
    pub(super) fn enter_level(&mut self, alias: String, entity: usize) -> Entered {
        let outer = self.current;
        self.push(alias, entity, (0, Vec::new()), true, Some(outer));
        Entered(outer)
    }

    /// Opens a FROM list for the rows that a path of the current level leads to.
    pub(super) fn enter_rows(&mut self, alias: String, entity: usize, source: u32, path: Vec<u16>) -> Entered {
        let outer = self.current;
        self.push(alias, entity, (source, path), false, Some(outer));
        Entered(outer)
    }

    /// Closes the current FROM list, and answers with its joins.
    pub(super) fn leave(&mut self, entered: Entered) -> String {
        let sql = std::mem::take(&mut self.frames[self.current].sql);
        // What was joined under names of its own goes along.
        self.frames.truncate(self.current);
        self.current = entered.0;
        sql
    }

    /// Adds what is joined to the current query under a name of its own: the frame.
    pub(super) fn add_source(&mut self, source: u32, alias: String, entity: usize) -> usize {
        let current = self.current;
        self.push(alias, entity, (source, Vec::new()), true, Some(current));
        self.current = current;
        self.frames.len() - 1
    }

    /// The joins of a frame.
    pub(super) fn joins_of(&self, frame: usize) -> &str {
        &self.frame(frame).sql
    }

    /// The alias of what was joined under a name of its own, in this query or one around it.
    pub(super) fn source_alias(&self, source: u32) -> Option<&str> {
        self.frames.iter().rev().find(|frame| frame.source == source).map(|frame| frame.alias.as_str())
    }

    /// Closes a query whose entity is in a FROM list around it: its joins stand there.
    pub(super) fn leave_joined(&mut self, entered: Entered) {
        let joins = self.leave(entered);
        let current = self.current;
        self.frames[current].sql.push_str(&joins);
    }

    /// Goes to the query around the current one; `None` if there is none.
    pub(super) fn go_outside(&mut self) -> Option<Entered> {
        let outside = self.frame(self.level()).parent?;
        let entered = Entered(self.current);
        self.current = outside;
        Some(entered)
    }

    /// Goes to where the current query starts.
    pub(super) fn go_to_start(&mut self) -> Entered {
        let entered = Entered(self.current);
        self.current = self.level();
        entered
    }

    /// Comes back from [`go_outside`](Self::go_outside) or [`go_to_start`](Self::go_to_start).
    pub(super) fn come_back(&mut self, entered: &Entered) {
        self.current = entered.0;
    }

    /// The frame where the current query starts.
    fn level(&self) -> usize {
        let mut index = self.current;
        while let (false, Some(parent)) = (self.frame(index).is_level, self.frame(index).parent) {
            index = parent;
        }
        index
    }

    /// The entity where the paths of the current query start.
    pub(super) fn start(&self) -> usize {
        self.frame(self.level()).entity
    }

    /// Where a path is found: the frame, its alias and entity, and how many hops lead there; `None` if what it starts at was
    /// not joined.
    pub(super) fn home(&self, source: u32, path: &[u16]) -> Option<Home<'_>> {
        let mut index = self.current;
        let index = loop {
            let frame = self.frame(index);
            if frame.source == source && path.starts_with(&frame.prefix) {
                break index;
            }
            match frame.parent {
                Some(parent) if !frame.is_level => index = parent,
                _ if source == 0 => break index,
                _ => break self.frames.iter().rposition(|frame| frame.source == source && frame.is_level)?,
            }
        };
        let frame = self.frame(index);
        Some(Home { index, alias: &frame.alias, entity: frame.entity, hops: frame.prefix.len() })
    }

    /// The alias of what was joined to a frame.
    pub(super) fn joined(&self, frame: usize, path: &[u16]) -> Option<&str> {
        self.frame(frame).joined.iter().find(|(hops, _)| hops == path).map(|(_, alias)| alias.as_str())
    }

    /// Adds a join to a frame.
    pub(super) fn join(&mut self, frame: usize, path: &[u16], alias: &str, sql: &str) {
        let frame = &mut self.frames[frame];
        frame.joined.push((path.to_vec(), alias.to_owned()));
        frame.sql.push_str(sql);
    }
}

/// The frame where a path is found.
pub(super) struct Home<'a> {
    pub(super) index: usize,
    pub(super) alias: &'a str,
    pub(super) entity: usize,
    /// How many hops of the path lead to the frame.
    pub(super) hops: usize,
}
