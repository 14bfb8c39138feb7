//! Lists: filtered by name, sorted, cut into pages, and reduced to columns, as RabbitMQ's management
//! does it (<https://www.rabbitmq.com/docs/management#http-api-pagination>). Of our own is `search_in`: the
//! columns that a filter looks at in place of the name.
//!
//! Called by every resource that is a list. Pure. Stays true: only what is on the page is rendered and put
//! in order, so that a page of a long list costs little more than a look at each row's sort key.

use std::cmp::Ordering;

use regex::RegexBuilder;
use serde_json::{Map, Value, json};

use super::answer::Fault;
use super::request::Query;

/// A page has so many rows if nobody says otherwise,
const PAGE_SIZE: i64 = 100;
/// and at most so many.
const PAGE_SIZE_MAX: usize = 500;
/// The longest filter, in bytes; what is longer is cut off.
const FILTER_MAX: usize = 1024;
/// A filter looks at so many columns at most; what is named beyond them is not looked at.
const SEARCHED_MAX: usize = 8;
/// The largest automaton of a filter, in bytes: nobody makes the broker compile what is huge.
const FILTER_COMPILED_MAX: usize = 1 << 20;

/// Something that stands in a list.
pub(super) trait Row {
    /// What filters by name look at.
    fn name(&self) -> &str;

    /// What one column holds, by its path; null if there is none. For sorting: must be cheap for what
    /// people sort long lists by.
    fn field(&self, path: &str) -> Value {
        pick(&self.render(), path)
    }

    /// All of it.
    fn render(&self) -> Value;
}

/// What is asked of a list.
#[derive(Debug)]
pub(super) struct Listing {
    page: Option<Page>,
    sort: Option<String>,
    is_reversed: bool,
    columns: Columns,
}

#[derive(Debug)]
struct Page {
    number: usize,
    size: usize,
    filter: Filter,
    /// What the filter looks at, if not at the name.
    searched: Vec<String>,
}

#[derive(Debug)]
enum Filter {
    All,
    Contains(String),
    Matches(regex::Regex),
    Nothing,
}

/// Which parts of an answer are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns(Vec<Vec<String>>);

impl Listing {
    /// As the query says it.
    ///
    /// # Errors
    /// 400: there is no such page.
    pub(super) fn of(query: &Query) -> Result<Self, Fault> {
        Ok(Self {
            page: query.get("page").map(|page| Page::of(page, query)).transpose()?,
            sort: query.get("sort").filter(|sort| !sort.is_empty()).map(str::to_owned),
            is_reversed: query.is_true("sort_reverse"),
            columns: Columns::of(query),
        })
    }

    /// The list, or a page of it. `order` is how it is sorted if nobody says otherwise.
    ///
    /// # Errors
    /// 400: the page is behind the end.
    pub(super) fn list<R: Row>(
        &self,
        mut rows: Vec<R>,
        order: impl Fn(&R, &R) -> Ordering,
    ) -> Result<Value, Fault> {
        let total = rows.len();
        if let Some(page) = &self.page {
            rows.retain(|row| page.takes(row));
        }
        let key = |row: &R| self.sort.as_ref().map_or(Value::Null, |sort| row.field(sort));
        let keyed: Vec<Keyed<'_, R>> =
            rows.iter().enumerate().map(|(at, row)| Keyed { key: key(row), at, row }).collect();
        let order = |one: &Keyed<'_, R>, other: &Keyed<'_, R>| {
            let order =
                compare(&one.key, &other.key).then_with(|| order(one.row, other.row)).then_with(
                    // No two of them are equal, lest one stands on two pages.
                    || one.at.cmp(&other.at),
                );
            if self.is_reversed { order.reverse() } else { order }
        };
        let render = |row: &R| self.columns.of_value(row.render());
        match &self.page {
            None => Ok(sorted(keyed, order).map(render).collect()),
            Some(page) => page.cut(keyed, total, order, render),
        }
    }
}

/// A row, and what it is sorted by.
struct Keyed<'a, R> {
    key: Value,
    /// Where it stood.
    at: usize,
    row: &'a R,
}

fn sorted<'a, R>(
    mut rows: Vec<Keyed<'a, R>>,
    order: impl Fn(&Keyed<'a, R>, &Keyed<'a, R>) -> Ordering,
) -> impl Iterator<Item = &'a R> {
    rows.sort_unstable_by(order);
    rows.into_iter().map(|keyed| keyed.row)
}

impl Page {
    fn of(number: &str, query: &Query) -> Result<Self, Fault> {
        let unreadable = |_| Fault::bad_request("Pagination parameters are invalid");
        let number: i64 = number.parse().map_err(unreadable)?;
        let size = query.get("page_size").map(str::parse::<i64>).transpose().map_err(unreadable)?;
        let told = size.map_or_else(|| "undefined".to_owned(), |size| size.to_string());
        let in_range = |number: i64| usize::try_from(number).ok().filter(|number| *number > 0);
        let size = in_range(size.unwrap_or(PAGE_SIZE)).filter(|size| *size <= PAGE_SIZE_MAX);
        let (Some(number), Some(size)) = (in_range(number), size) else {
            let text =
                format!("Invalid pagination parameters: page number {number}, page size {told}");
            return Err(Fault::bad("invalid_pagination_parameters", text));
        };
        let searched = query.get("search_in").unwrap_or_default().split(',');
        let searched = searched.filter(|path| !path.is_empty()).take(SEARCHED_MAX);
        let searched = searched.map(str::to_owned).collect();
        Ok(Self { number, size, filter: Filter::of(query), searched })
    }

    /// Whether the filter lets a row stand in the list.
    fn takes<R: Row>(&self, row: &R) -> bool {
        let has = |path: &String| row.field(path).as_str().is_some_and(|it| self.filter.takes(it));
        match (&self.filter, self.searched.is_empty()) {
            (Filter::All, _) => true,
            (_, true) => self.filter.takes(row.name()),
            (_, false) => self.searched.iter().any(has),
        }
    }

    /// What stands on it. Only that is put in order.
    fn cut<'a, R>(
        &self,
        mut rows: Vec<Keyed<'a, R>>,
        total: usize,
        order: impl Fn(&Keyed<'a, R>, &Keyed<'a, R>) -> Ordering,
        render: impl Fn(&R) -> Value,
    ) -> Result<Value, Fault> {
        let Self { number, size, .. } = self;
        let before = (number - 1).saturating_mul(*size);
        let filtered = rows.len();
        if before >= filtered && *number > 1 {
            let text =
                format!("Page out of range, page: {number} page size: {size}, len: {filtered}");
            return Err(Fault::bad("page_out_of_range", text));
        }
        let behind = before.saturating_add(*size);
        if behind < filtered {
            rows.select_nth_unstable_by(behind, &order);
            rows.truncate(behind);
        }
        if before > 0 {
            rows.select_nth_unstable_by(before, &order);
            rows.drain(..before);
        }
        let items: Vec<Value> = sorted(rows, order).map(render).collect();
        Ok(json!({
            "filtered_count": filtered,
            "item_count": items.len(),
            "items": items,
            "page": number,
            "page_count": filtered.div_ceil(*size),
            "page_size": size,
            "total_count": total,
        }))
    }
}

impl Filter {
    fn of(query: &Query) -> Self {
        let Some(name) = query.get("name").filter(|name| !name.is_empty()) else {
            return Self::All;
        };
        let mut end = name.len().min(FILTER_MAX);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let name = name.get(..end).unwrap_or_default();
        if !query.is_true("use_regex") {
            return Self::Contains(name.to_lowercase());
        }
        let mut builder = RegexBuilder::new(name);
        match builder.case_insensitive(true).size_limit(FILTER_COMPILED_MAX).build() {
            Ok(regex) => Self::Matches(regex),
            Err(_) => Self::Nothing,
        }
    }

    fn takes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Contains(part) => name.to_lowercase().contains(part),
            Self::Matches(regex) => regex.is_match(name),
            Self::Nothing => false,
        }
    }
}

impl Columns {
    /// As the query says it: none is all.
    pub(super) fn of(query: &Query) -> Self {
        let columns = query.get("columns").unwrap_or_default();
        let columns = columns.split(',').filter(|column| !column.is_empty());
        Self(columns.map(|column| column.split('.').map(str::to_owned).collect()).collect())
    }

    /// Whether anything is wanted beside these fields: what costs something is not found out for nothing.
    pub(super) fn want_more_than(&self, names: &[&str]) -> bool {
        let is_other =
            |path: &Vec<String>| path.first().is_some_and(|first| !names.contains(&first.as_str()));
        self.0.is_empty() || self.0.iter().any(is_other)
    }

    /// Of an answer what is wanted.
    pub(super) fn of_value(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        let paths: Vec<&[String]> = self.0.iter().map(Vec::as_slice).collect();
        reduced(value, &paths)
    }
}

fn reduced(value: Value, paths: &[&[String]]) -> Value {
    match value {
        Value::Object(fields) => {
            let mut kept = Map::new();
            for (name, value) in fields {
                let rests: Vec<&[String]> = paths
                    .iter()
                    .filter_map(|path| path.split_first())
                    .filter(|(first, _)| **first == name)
                    .map(|(_, rest)| rest)
                    .collect();
                if rests.is_empty() {
                    continue;
                }
                let whole = rests.iter().any(|rest| rest.is_empty());
                kept.insert(name, if whole { value } else { reduced(value, &rests) });
            }
            Value::Object(kept)
        }
        Value::Array(values) => values.into_iter().map(|value| reduced(value, paths)).collect(),
        other => other,
    }
}

/// What stands at a path; null if nothing does.
pub(super) fn pick(value: &Value, path: &str) -> Value {
    let found = path.split('.').try_fold(value, |value, part| value.get(part));
    found.cloned().unwrap_or_default()
}

/// Nothing before flags, flags before numbers, numbers before texts, as people expect it.
fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Number(one), Value::Number(other)) => {
            let whole = one.as_i64().zip(other.as_i64()).map(|(one, other)| one.cmp(&other));
            let float = |number: &serde_json::Number| number.as_f64().unwrap_or(0.0);
            whole.unwrap_or_else(|| float(one).total_cmp(&float(other)))
        }
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Array(one), Value::Array(other)) => {
            let mut pairs = one.iter().zip(other).map(|(one, other)| compare(one, other));
            pairs.find(|order| order.is_ne()).unwrap_or_else(|| one.len().cmp(&other.len()))
        }
        (one, other) => rank(one).cmp(&rank(other)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::Object(_) => 3,
        Value::Array(_) => 4,
        Value::String(_) => 5,
    }
}

/// A row that is rendered already: of lists that are short.
pub(super) struct Rendered(pub Value);

impl Row for Rendered {
    fn name(&self) -> &str {
        self.0.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    fn field(&self, path: &str) -> Value {
        pick(&self.0, path)
    }

    fn render(&self) -> Value {
        self.0.clone()
    }
}

/// By these fields, which are texts, one after the other.
pub(super) fn by(fields: &'static [&'static str]) -> impl Fn(&Rendered, &Rendered) -> Ordering {
    move |one, other| {
        let text =
            |row: &'_ Rendered, field| row.0.get(field).and_then(Value::as_str).map(str::to_owned);
        fields
            .iter()
            .map(|field| text(one, field).cmp(&text(other, field)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str, count: usize) -> Result<Value, Fault> {
        let rows = (0..count).map(|n| {
            Rendered(json!({"name": format!("Q{n:02}"), "n": n, "a": {"b": n % 3, "c": 1}}))
        });
        Listing::of(&Query::parse(query))?.list(rows.collect(), by(&["name"]))
    }

    fn names(value: &Value) -> Vec<String> {
        let items = value.get("items").unwrap_or(value).as_array().unwrap();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn without_a_page_everything_comes_in_a_row() {
        assert_eq!(names(&asked("page_size=1", 3).unwrap()), ["Q00", "Q01", "Q02"]);
    }

    #[test]
    fn pages_are_cut_and_counted() {
        let page = asked("page=2&page_size=2", 5).unwrap();
        assert_eq!(names(&page), ["Q02", "Q03"]);
        for (name, expected) in [
            ("filtered_count", 5),
            ("item_count", 2),
            ("page", 2),
            ("page_count", 3),
            ("page_size", 2),
            ("total_count", 5),
        ] {
            assert_eq!(page[name], expected, "{name}");
        }
        assert_eq!(names(&asked("page=3&page_size=2", 5).unwrap()), ["Q04"]);
        assert_eq!(asked("page=1", 0).unwrap()["page_count"], 0);
        for wrong in ["page=4&page_size=2", "page=0", "page=x", "page=1&page_size=501", "page=-1"] {
            assert!(asked(wrong, 5).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_filtered_whatever_their_case() {
        let found = |query: &str| names(&asked(query, 12).unwrap());
        assert_eq!(found("page=1&name=q1"), ["Q10", "Q11"]);
        assert_eq!(found("page=1&name=%5Eq.0$&use_regex=true"), ["Q00", "Q10"]);
        assert_eq!(found("page=1&name=(&use_regex=true"), [""; 0]);
        assert_eq!(asked("page=1&name=q1", 12).unwrap()["total_count"], 12);
    }

    #[test]
    fn any_column_sorts_and_equal_ones_keep_their_order() {
        let found = |query: &str| names(&asked(query, 4).unwrap());
        assert_eq!(found("sort=n&sort_reverse=true"), ["Q03", "Q02", "Q01", "Q00"]);
        assert_eq!(found("sort=a.b"), ["Q00", "Q03", "Q01", "Q02"]);
        assert_eq!(found("sort=none"), ["Q00", "Q01", "Q02", "Q03"]);
    }

    #[test]
    fn a_filter_looks_at_the_columns_that_it_is_told() {
        let row = |name: &str, client: Value| Rendered(json!({"name": name, "client": client}));
        let list = |query: &str| {
            let rows =
                vec![row("a:1", "Shop".into()), row("b:2", "mail".into()), row("shop:3", 7.into())];
            let query = Query::parse(&format!("page=1&{query}"));
            names(&Listing::of(&query).unwrap().list(rows, by(&["name"])).unwrap())
        };
        assert_eq!(list("name=shop"), ["shop:3"]);
        assert_eq!(list("name=shop&search_in=name,client"), ["a:1", "shop:3"]);
        assert_eq!(list("name=^m&use_regex=true&search_in=client"), ["b:2"]);
        assert_eq!(list("name=shop&search_in=none"), [""; 0]);
        assert_eq!(list("search_in=none").len(), 3, "without a filter all are there");
    }

    #[test]
    fn pages_are_cut_out_of_the_whole_order() {
        let row = |n: u64| Rendered(json!({"name": format!("{:02}", n * 7 % 40), "n": n % 3}));
        let list = |query: &str| {
            let rows = (0..40).map(row).collect();
            Listing::of(&Query::parse(query)).unwrap().list(rows, by(&["name"])).unwrap()
        };
        for sort in ["", "&sort=n", "&sort=name&sort_reverse=true", "&sort=n&sort_reverse=true"] {
            let whole = list(&format!("x=y{sort}"));
            let pages = (1..=6).flat_map(|page| {
                let cut = list(&format!("page={page}&page_size=7{sort}"));
                cut["items"].as_array().unwrap().clone()
            });
            assert_eq!(whole, pages.collect::<Value>(), "{sort}");
        }
    }

    #[test]
    fn what_is_not_wanted_need_not_be_found_out() {
        let wants = |text: &str| Columns::of(&Query::parse(text)).want_more_than(&["a", "c"]);
        assert!(wants("columns=a.b,c,d") && wants("columns=") && wants(""));
        assert!(!wants("columns=a.b,c"));
    }

    #[test]
    fn columns_may_lie_deep_and_in_lists() {
        let columns = |text: &str, value| Columns::of(&Query::parse(text)).of_value(value);
        let value = json!({"a": {"b": 1, "c": 2}, "d": [{"e": 1, "f": 2}], "g": 3});
        assert_eq!(
            columns("columns=a.b,d.f,x.y", value.clone()),
            json!({"a": {"b": 1}, "d": [{"f": 2}]})
        );
        assert_eq!(columns("columns=a,a.b", value.clone())["a"], json!({"b": 1, "c": 2}));
        assert_eq!(columns("columns=", value.clone()), value);
    }
}
