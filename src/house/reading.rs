//! The source of all crates of the workspace, read with `syn`: its files, which of them are tests, what each names of
//! others, and which types it defines.
//!
//! A path is followed through `use` and `pub use`, from crate to crate, to the file that defines what it names. What is
//! not seen: methods and fields. Of a macro that writes items, types are the words in capitals that it is given.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// All files, by the path of their module; the name of the crate comes first.
pub(super) struct Library(BTreeMap<Vec<String>, SourceFile>);

pub(super) struct SourceFile {
    /// Its path in the repository.
    pub(super) name: String,
    pub(super) text: String,
    /// It is compiled for tests alone.
    pub(super) is_test: bool,
    /// The path of its module, the crate's name first.
    pub(super) module: Vec<String>,
    /// Structs, enums, traits and type aliases of production code.
    pub(super) types: BTreeSet<String>,
    /// What `use` imports in production code, by name.
    bound: BTreeMap<String, Binding>,
    /// What `use module::*` names.
    globs: Vec<Vec<String>>,
    /// Names of the items that it defines.
    items: BTreeSet<String>,
    /// Every path in production code, as it is written.
    written: BTreeSet<Vec<String>>,
    /// Modules that it declares for tests alone.
    test_modules: BTreeSet<String>,
}

struct Binding {
    path: Vec<String>,
    /// `pub use`.
    is_public: bool,
}

/// A path from the root of a crate, whose name comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FullPath(Vec<String>);

impl FullPath {
    /// Whether `what` is part of it: at its beginning, or, where it is a type and its function, anywhere.
    pub(super) fn names(&self, what: &[&str]) -> bool {
        let is_type = what.first().is_some_and(|first| first.starts_with(char::is_uppercase));
        let mut places = self.0.windows(what.len());
        if is_type { places.any(|place| place == what) } else { places.next().is_some_and(|it| it == what) }
    }

    pub(super) fn text(&self) -> String {
        self.0.join("::")
    }
}

impl Library {
    pub(super) fn get() -> &'static Self {
        static LIBRARY: LazyLock<Library> = LazyLock::new(Library::read);
        &LIBRARY
    }

    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = BTreeMap::new();
        for path in crates().into_iter().chain([root.to_owned()]).flat_map(|it| rust_files(&it.join("src"))) {
            let text = fs::read_to_string(&path).expect("a source file is text");
            let name = path.strip_prefix(root).expect("beneath the root").to_string_lossy().into_owned();
            add(&mut files, name, text);
        }
        let mut library = Self(files);
        library.find_tests();
        library
    }

    /// A library of these files, by name and text.
    fn of(texts: &[(&str, &str)]) -> Self {
        let mut files = BTreeMap::new();
        for (name, text) in texts {
            add(&mut files, (*name).to_owned(), (*text).to_owned());
        }
        let mut library = Self(files);
        library.find_tests();
        library
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.0.values()
    }

    pub(super) fn file(&self, name: &str) -> Option<&SourceFile> {
        self.files().find(|file| file.name == name)
    }

    /// A module is a test if it is declared so, or if it is within a module that is.
    fn find_tests(&mut self) {
        let tests: Vec<Vec<String>> = self
            .files()
            .flat_map(|file| {
                file.test_modules.iter().map(|name| [&file.module[..], std::slice::from_ref(name)].concat())
            })
            .collect();
        for (module, file) in &mut self.0 {
            file.is_test = tests.iter().any(|test| module.starts_with(test));
        }
    }

    /// What a file names in production code, as full paths.
    pub(super) fn paths(&self, file: &SourceFile) -> BTreeSet<FullPath> {
        let used = file.bound.values().map(|binding| binding.path.clone());
        used.chain(file.globs.iter().cloned())
            .chain(file.written.iter().filter_map(|path| self.expand(file, path)))
            .map(FullPath)
            .collect()
    }

    /// The full path; `None` for what is defined in the file itself.
    fn expand(&self, file: &SourceFile, path: &[String]) -> Option<Vec<String>> {
        let first = path.first()?;
        if let Some(full) = absolute(&file.module, path) {
            return Some(full);
        }
        if let Some(binding) = file.bound.get(first) {
            return Some([&binding.path, &path[1..]].concat());
        }
        let mut child = file.module.clone();
        child.push(first.clone());
        if self.0.contains_key(&child) {
            return Some([&file.module, path].concat());
        }
        (path.len() > 1 && !file.items.contains(first)).then(|| path.to_vec())
    }

    /// Which file depends on which, each with a name that shows it. A file's dependence on the modules that it is part of
    /// does not count.
    pub(super) fn edges(&self) -> BTreeMap<(String, String), String> {
        let mut edges = BTreeMap::new();
        for file in self.files().filter(|file| !file.is_test) {
            let written = file.written.iter().filter_map(|path| self.expand(file, path));
            let names: BTreeSet<_> = file.written.iter().filter_map(|path| path.first()).collect();
            // A `pub use` alone is not a use.
            let bound =
                file.bound.iter().filter(|(name, binding)| !binding.is_public || names.contains(name));
            let bound = bound.map(|(_, binding)| binding.path.clone());
            for path in written.chain(bound) {
                if let Some(target) = self.defines(&path, 0)
                    // The file of a module defines the types that the files in its folder share.
                    && !file.module.starts_with(&target.module)
                {
                    edges
                        .entry((file.name.clone(), target.name.clone()))
                        .or_insert_with(|| path.last().cloned().unwrap_or_default());
                }
            }
        }
        edges
    }

    /// The file that defines what `path` names; `None` for what is outside the workspace.
    pub(super) fn definition(&self, path: &FullPath) -> Option<&SourceFile> {
        self.defines(&path.0, 0)
    }

    fn defines(&self, path: &[String], depth: usize) -> Option<&SourceFile> {
        // No chain of `use` is a circle.
        assert!(depth < 20, "{path:?}");
        let known = (1..=path.len()).rev().find(|len| self.0.contains_key(&path[..*len]))?;
        let file = &self.0[&path[..known]];
        let Some(name) = path.get(known) else { return Some(file) };
        if let Some(binding) = file.bound.get(name) {
            let target = [&binding.path[..], &path[known + 1..]].concat();
            return self.defines(&target, depth + 1);
        }
        if !file.items.contains(name) {
            for glob in &file.globs {
                if let Some(there) = self.0.get(glob)
                    && there.module != file.module
                    && (there.items.contains(name) || there.bound.contains_key(name))
                {
                    let target = [glob, &path[known..]].concat();
                    return self.defines(&target, depth + 1);
                }
            }
        }
        Some(file)
    }
}

/// The folders of the crates beneath `crates`.
pub(super) fn crates() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let entries = fs::read_dir(all).expect("crates can be read");
    entries.map(|entry| entry.expect("crates can be read").path()).collect()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("src can be read") {
        let path = entry.expect("src can be read").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn add(files: &mut BTreeMap<Vec<String>, SourceFile>, name: String, text: String) {
    let module = module_of(&name);
    let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut reader = Reader { module, ..Reader::default() };
    reader.visit_file(&syntax);
    let Reader { module, bound, globs, items, types, written, test_modules } = reader;
    let is_test = false;
    let file = SourceFile {
        name,
        text,
        is_test,
        module: module.clone(),
        types,
        bound,
        globs,
        items,
        written,
        test_modules,
    };
    files.insert(module, file);
}

/// `crates/vod/src/mount/mod.rs` is `amphi_vod::mount`, and `src/store.rs` is `amphi::store`.
fn module_of(name: &str) -> Vec<String> {
    let stem = name.trim_end_matches(".rs");
    let (package, stem) = match stem.strip_prefix("crates/").and_then(|rest| rest.split_once("/src/")) {
        Some((package, stem)) => (format!("amphi_{package}"), stem),
        None => ("amphi".to_owned(), stem.trim_start_matches("src/")),
    };
    if stem == "main" {
        return vec!["main".to_owned()];
    }
    let below = stem.split('/').filter(|part| !["lib", "mod"].contains(part));
    [package].into_iter().chain(below.map(str::to_owned)).collect()
}

/// The full path of one that begins with `crate`, `self` or `super`, in this module.
fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let (first, mut rest) = path.split_first()?;
    let mut base = match &**first {
        "crate" => module[..1].to_vec(),
        "self" => module.to_vec(),
        "super" => module.split_last()?.1.to_vec(),
        _ => return None,
    };
    while let Some((_, after)) = rest.split_first().filter(|(first, _)| *first == "super") {
        base.pop();
        rest = after;
    }
    Some([&base, rest].concat())
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        // `cfg(any(test, …))` is production code too.
        list.path.is_ident("cfg") && matches!(&*list.tokens.to_string(), "test")
    })
}

/// Collects what production code names. `super` in an inline module is not followed: only tests have such modules.
#[derive(Default)]
struct Reader {
    module: Vec<String>,
    bound: BTreeMap<String, Binding>,
    globs: Vec<Vec<String>>,
    items: BTreeSet<String>,
    types: BTreeSet<String>,
    written: BTreeSet<Vec<String>>,
    test_modules: BTreeSet<String>,
}

impl Reader {
    fn bind(&mut self, tree: &syn::UseTree, before: &[String], is_public: bool) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            syn::UseTree::Path(path) => {
                self.bind(&path.tree, &with(path.ident.to_string()), is_public);
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                self.bind_as(last, before, is_public);
            }
            syn::UseTree::Name(name) => {
                self.bind_as(name.ident.to_string(), &with(name.ident.to_string()), is_public);
            }
            syn::UseTree::Rename(rename) => {
                let path =
                    if rename.ident == "self" { before.to_vec() } else { with(rename.ident.to_string()) };
                self.bind_as(rename.rename.to_string(), &path, is_public);
            }
            syn::UseTree::Glob(_) => self.globs.push(self.rooted(before)),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.bind(tree, before, is_public);
                }
            }
        }
    }

    /// `use child::X` names a child of this module; another crate's name stays as it is.
    fn rooted(&self, path: &[String]) -> Vec<String> {
        if let Some(full) = absolute(&self.module, path) {
            return full;
        }
        match path.first() {
            Some(first) if self.items.contains(first) => [&self.module, path].concat(),
            _ => path.to_vec(),
        }
    }

    fn bind_as(&mut self, name: String, path: &[String], is_public: bool) {
        let path = self.rooted(path);
        self.bound.insert(name, Binding { path, is_public });
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.write(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.write(std::mem::take(&mut path));
                    colons = 0;
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.write(std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.write(path);
    }

    fn write(&mut self, path: Vec<String>) {
        if !path.is_empty() {
            self.written.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_file(&mut self, file: &'ast syn::File) {
        // Items come first, since a `use` may stand above what it names.
        let (tests, production): (Vec<_>, Vec<_>) =
            file.items.iter().partition(|item| is_for_tests(attributes(item)));
        self.items.extend(production.into_iter().filter_map(name_of));
        let modules = tests.into_iter().filter(|item| matches!(item, syn::Item::Mod(_)));
        self.test_modules.extend(modules.filter_map(name_of));
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(attributes(item)) {
            if matches!(
                item,
                syn::Item::Struct(_) | syn::Item::Enum(_) | syn::Item::Trait(_) | syn::Item::Type(_)
            ) {
                self.types.extend(name_of(item));
            }
            // What `thread_local!` is given are types of others.
            if let syn::Item::Macro(item) = item
                && item.ident.is_none()
                && !item.mac.path.is_ident("thread_local")
            {
                self.types.extend(item.mac.tokens.clone().into_iter().filter_map(type_of));
            }
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        self.bind(&item.tree, &[], is_public);
    }

    /// `pub(in path)` is not a dependence.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.write(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(it) => &it.attrs,
        syn::Item::Enum(it) => &it.attrs,
        syn::Item::Fn(it) => &it.attrs,
        syn::Item::Impl(it) => &it.attrs,
        syn::Item::Macro(it) => &it.attrs,
        syn::Item::Mod(it) => &it.attrs,
        syn::Item::Static(it) => &it.attrs,
        syn::Item::Struct(it) => &it.attrs,
        syn::Item::Trait(it) => &it.attrs,
        syn::Item::Type(it) => &it.attrs,
        syn::Item::Union(it) => &it.attrs,
        syn::Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

/// A word as a type is written.
fn type_of(token: TokenTree) -> Option<String> {
    let TokenTree::Ident(ident) = token else { return None };
    Some(ident.to_string()).filter(|name| name.starts_with(char::is_uppercase))
}

fn name_of(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(it) => &it.ident,
        syn::Item::Enum(it) => &it.ident,
        syn::Item::Fn(it) => &it.sig.ident,
        syn::Item::Mod(it) => &it.ident,
        syn::Item::Static(it) => &it.ident,
        syn::Item::Struct(it) => &it.ident,
        syn::Item::Trait(it) => &it.ident,
        syn::Item::Type(it) => &it.ident,
        syn::Item::Union(it) => &it.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(library: &Library, file: &str) -> Vec<String> {
        let file = library.file(file).expect("it is there");
        library.paths(file).into_iter().map(|path| path.text()).collect()
    }

    #[test]
    fn imports_are_found_in_every_form() {
        let text = "use crate::{clock::Clock, meter::{Counter, Note}};\nfn f() { crate::feed::x(); g!(crate::log::y()) }";
        let library = Library::of(&[("a.rs", text)]);
        let expected = [
            "amphi::clock::Clock",
            "amphi::feed::x",
            "amphi::log::y",
            "amphi::meter::Counter",
            "amphi::meter::Note",
        ];
        let found = named(&library, "a.rs");
        assert!(expected.iter().all(|it| found.iter().any(|found| found == it)), "{found:?}");
    }

    #[test]
    fn production_behind_a_test_is_seen_and_the_test_is_not() {
        let text = "#[cfg(test)]\nuse crate::rtmp::X;\n#[cfg(test)]\nfn t() { crate::rtsp::x() }\nuse std::time;\nfn f() { time::Instant::now(); }";
        let library =
            Library::of(&[("a.rs", text), ("b.rs", "#[cfg(test)]\nmod tests;"), ("b/tests.rs", "")]);
        let found = named(&library, "a.rs");
        assert!(found.contains(&"std::time::Instant::now".to_owned()), "{found:?}");
        assert!(!found.iter().any(|it| it.starts_with("amphi")), "{found:?}");
        assert!(library.file("b/tests.rs").is_some_and(|file| file.is_test));
    }

    #[test]
    fn a_name_is_followed_to_where_it_stands() {
        let library = Library::of(&[
            ("a/mod.rs", "mod one;\nmod two;\npub use one::One;"),
            ("a/one.rs", "use super::two::Two;\npub struct One;"),
            ("a/two.rs", "use super::One;\npub struct Two;"),
        ]);
        let edges: Vec<_> = library.edges().into_keys().collect();
        let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(edges, [edge("a/one.rs", "a/two.rs"), edge("a/two.rs", "a/one.rs")]);
    }

    #[test]
    fn a_name_is_followed_into_other_crates_and_through_aliases() {
        let library = Library::of(&[
            ("crates/media/src/lib.rs", "pub mod clock;\nmod cell;\npub use cell::Cell;"),
            ("crates/media/src/cell.rs", "pub struct Cell;"),
            ("crates/media/src/clock.rs", "pub struct Clock;"),
            ("crates/vod/src/lib.rs", "mod mount;\nuse amphi_media as media;\nuse amphi_media::clock;"),
            (
                "crates/vod/src/mount/mod.rs",
                "use crate::media::Cell;\nfn f(_: Cell, _: crate::clock::Clock) {}",
            ),
            ("src/store.rs", "use amphi_media::{Cell, clock::Clock};\nfn f(_: Cell, _: Clock) {}"),
        ]);
        let edges: Vec<_> = library.edges().into_keys().collect();
        let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let [mount, store] = ["crates/vod/src/mount/mod.rs", "src/store.rs"];
        let [cell, clock] = ["crates/media/src/cell.rs", "crates/media/src/clock.rs"];
        for edge in [edge(mount, cell), edge(mount, clock), edge(store, cell), edge(store, clock)] {
            assert!(edges.contains(&edge), "{edge:?} is not in {edges:?}");
        }
    }

    #[test]
    fn types_of_production_are_seen() {
        let text =
            "pub struct A;\nenum B {}\n#[cfg(test)]\nstruct T;\nmod m { type C = u8; }\ntrait D { type E; }
            macro_rules! names { ($($name:ident)*) => { $(struct $name;)* } }\nnames! { F G }";
        let library = Library::of(&[("a.rs", text)]);
        let types: Vec<_> = library.files().flat_map(|file| &file.types).map(String::as_str).collect();
        assert_eq!(types, ["A", "B", "C", "D", "F", "G"]);
    }
}
