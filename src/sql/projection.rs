//! The SELECT list of a projection: columns of the entity, of what its to-one relations lead to, and of to-many relations
//! one array of records each. So a projection of any depth is one statement.

use super::condition::{Writer, not_a_relation};
use super::identifier::{push_column, push_list};
use super::related::Rows;
use super::scope::Scope;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{EntityDef, PropertyDef, RelationDef};
use crate::types::{ColumnShape, FieldShape, PgType, ProjectionFieldMeta, ProjectionMeta};

/// Where the name of a projection's field leads to.
struct Found<'a> {
    /// The way to the entity that has the property.
    path: FieldPath,
    entity: &'a EntityDef,
    property: u16,
    /// Whether a relation on the way may be missing.
    optional: bool,
}

impl<'a> Writer<'a> {
    /// Appends the columns of a projection of what is at the end of a path. `inside` are the projections around it.
    ///
    /// # Errors
    /// [`Error::Validation`] for a field that the entity does not have, that is of another type, or that may be NULL and is
    /// no `Option`.
    pub(super) fn projection(
        &mut self,
        scope: &mut Scope,
        path: &FieldPath,
        meta: &'static ProjectionMeta,
        inside: &mut Vec<&'static ProjectionMeta>,
        out: &mut Vec<String>,
    ) -> Result<(), Error> {
        if inside.iter().any(|outer| std::ptr::eq(*outer, meta)) {
            let message = format!("the projection {} contains itself: there would be no end to it", meta.name);
            return Err(Error::validation(path.start().name, message));
        }
        inside.push(meta);
        for field in meta.fields {
            let found = self.way(scope, path, meta, field)?;
            match &field.shape {
                FieldShape::Column(shape) => out.push(self.projected_column(scope, meta, field, *shape, &found)?),
                FieldShape::One { target, nullable } => {
                    let relation = relation_of(&found, meta, field)?;
                    if relation.meta.kind.is_to_many() {
                        return Err(refused(&found, meta, field, "it leads to many: make the field a Vec"));
                    }
                    let hops = found.path.then(found.property);
                    if found.optional || relation.meta.nullable || relation.is_inverse_one_to_one() {
                        if !nullable {
                            return Err(refused(&found, meta, field, "it may be missing: make the field an Option"));
                        }
                        out.push(self.presence(scope, &hops)?);
                    } else if *nullable {
                        out.push("TRUE".to_owned());
                    }
                    self.projection(scope, &hops, target(), inside, out)?;
                }
                FieldShape::Many { target } => {
                    let relation = relation_of(&found, meta, field)?;
                    if !relation.meta.kind.is_to_many() {
                        return Err(refused(&found, meta, field, "it leads to one: the field is no Vec"));
                    }
                    out.push(self.projected_list(scope, &found, relation, target(), inside)?);
                }
            }
        }
        inside.pop();
        Ok(())
    }

    /// Finds the field of an entity that a field of a projection is read from.
    fn way(
        &self,
        scope: &Scope,
        path: &FieldPath,
        meta: &'static ProjectionMeta,
        field: &ProjectionFieldMeta,
    ) -> Result<Found<'a>, Error> {
        let metadata = self.metadata();
        let mut found =
            Found { path: path.clone(), entity: &metadata.entities[scope.start()], property: 0, optional: false };
        for hop in path.hops() {
            let relation = found.entity.relation(usize::from(*hop)).ok_or_else(|| not_a_relation(found.entity))?;
            found.entity = metadata.target(relation);
        }
        let mut names = field.name.split('.').peekable();
        while let Some(name) = names.next() {
            let position = found.entity.meta.properties.iter().position(|property| property.name == name);
            let Some(property) = position.and_then(|position| u16::try_from(position).ok()) else {
                let known: Vec<&str> = found.entity.meta.properties.iter().map(|property| property.name).collect();
                let (entity, known) = (found.entity.meta.name, known.join(", "));
                let message = format!("{entity} has no field `{name}` (fields: {known})");
                return Err(refused(&found, meta, field, &message));
            };
            found.property = property;
            if names.peek().is_none() {
                break;
            }
            let relation = found.entity.relation(usize::from(property));
            let Some(relation) = relation.filter(|relation| !relation.meta.kind.is_to_many()) else {
                let message = format!("`{name}` is no to-one relation of {}", found.entity.meta.name);
                return Err(refused(&found, meta, field, &message));
            };
            found.optional |= relation.meta.nullable || relation.is_inverse_one_to_one();
            found.path = found.path.then(property);
            found.entity = metadata.target(relation);
        }
        Ok(found)
    }

    /// One column, as the type that its values travel as.
    fn projected_column(
        &mut self,
        scope: &mut Scope,
        meta: &'static ProjectionMeta,
        field: &ProjectionFieldMeta,
        shape: ColumnShape,
        found: &Found<'a>,
    ) -> Result<String, Error> {
        let nullable = match found.entity.properties.get(usize::from(found.property)) {
            Some(PropertyDef::Column(column)) => column.meta.nullable,
            Some(PropertyDef::Relation(relation)) if relation.meta.kind.is_to_many() => {
                return Err(refused(found, meta, field, "it leads to many: make the field a Vec of projections"));
            }
            Some(PropertyDef::Relation(relation)) => relation.meta.nullable || relation.is_inverse_one_to_one(),
            None => return Err(not_a_relation(found.entity)),
        };
        let columns = self.locate(scope, &found.path, found.property)?.columns;
        let [column] = columns.as_slice() else {
            return Err(refused(found, meta, field, "its key has several columns: project what it refers to"));
        };
        if !shape.accepts.contains(&column.pg.oid) {
            let message = format!("it is {}, and the field is read as {}", column.pg.name, shape.pg.name);
            return Err(refused(found, meta, field, &message));
        }
        if (nullable || found.optional) && !shape.nullable {
            return Err(refused(found, meta, field, "it may be NULL: make the field an Option"));
        }
        let mut text = column.text.clone();
        push_travel_cast(&mut text, column.sql_type.is_some(), column.pg);
        Ok(text)
    }

    /// Whether there is an entity at the end of a path.
    fn presence(&mut self, scope: &mut Scope, path: &FieldPath) -> Result<String, Error> {
        let (alias, entity) = self.place(scope, path)?;
        let mut text = String::new();
        if let Some(column) = entity.key.first() {
            push_column(&mut text, &alias, &column.name);
            text.push_str(" IS NOT NULL");
        }
        Ok(text)
    }

    /// `ARRAY(SELECT ROW(…) FROM target WHERE … ORDER BY …)`.
    fn projected_list(
        &mut self,
        scope: &mut Scope,
        found: &Found<'a>,
        relation: &'a RelationDef,
        projection: &'static ProjectionMeta,
        inside: &mut Vec<&'static ProjectionMeta>,
    ) -> Result<String, Error> {
        let (alias, entity) = self.place(scope, &found.path)?;
        let Rows { target, alias, from, link, order } = self.rows(&alias, entity, found.property)?;
        let mut sorted = order.map(|order| format!("{order}, ")).unwrap_or_default();
        push_list(&mut sorted, &target.key, |out, column| push_column(out, &alias, &column.name));
        let entered = scope.enter_level(alias, target.index);
        let mut list = Vec::new();
        let root = FieldPath::root(relation.meta.target);
        let outcome = self.projection(scope, &root, projection, inside, &mut list);
        let joins = scope.leave(entered);
        outcome?;
        Ok(format!("ARRAY(SELECT ROW({}) FROM {from}{joins} WHERE {link} ORDER BY {sorted})", list.join(", ")))
    }
}

/// Appends the cast to the type that values travel as, where the column is of another one.
pub(super) fn push_travel_cast(out: &mut String, is_other: bool, pg: PgType) {
    if is_other {
        out.push_str("::");
        out.push_str(pg.name);
    }
}

fn relation_of<'a>(
    found: &Found<'a>,
    meta: &'static ProjectionMeta,
    field: &ProjectionFieldMeta,
) -> Result<&'a RelationDef, Error> {
    let relation = found.entity.relation(usize::from(found.property));
    relation.ok_or_else(|| refused(found, meta, field, "it is a column, and the field is a projection of a relation"))
}

/// An error that names the field of the projection and that of the entity.
fn refused(found: &Found<'_>, meta: &ProjectionMeta, field: &ProjectionFieldMeta, message: &str) -> Error {
    let root = found.path.start().name;
    Error::validation(root, format!("{}: the field for {root}.{} cannot be read: {message}", meta.name, field.name))
}
