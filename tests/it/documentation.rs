//! That the documentation is one with what it documents: the examples in it are compiled and run as documentation tests
//! (src/doctest.rs); here is what those cannot see.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_readme_shows_the_quickstart_as_it_is() {
    assert!(
        read("README.md").contains(read("examples/quickstart.rs").trim()),
        "copy examples/quickstart.rs to README.md"
    );
}

#[test]
fn the_guide_shows_the_entities_that_its_examples_use() {
    assert!(read("docs/src/relations.md").contains(read("docs/model/entities.rs").trim()));
}

#[test]
fn every_page_is_in_the_summary_and_tested() {
    let (summary, tested) = (read("docs/src/SUMMARY.md"), read("src/doctest.rs"));
    let pages = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src")).unwrap();
    for page in pages {
        let name = page.unwrap().file_name().into_string().unwrap();
        if name == "SUMMARY.md" {
            continue;
        }
        assert!(summary.contains(&format!("({name})")), "{name} is not in SUMMARY.md");
        assert!(tested.contains(&format!("\"docs/src/{name}\"")), "{name} is not among the pages of src/doctest.rs");
    }
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<_> = fs::read_dir(root.join("docs/src")).unwrap().map(|page| page.unwrap().path()).collect();
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.is_file(), "{}: {link}", page.display());
            let headings = fs::read_to_string(&target).unwrap();
            let mut headings = headings.lines().filter(|line| line.starts_with('#'));
            let found = headings.any(|line| line.trim_matches(['#', ' ']).to_lowercase().replace(' ', "-") == heading);
            assert!(heading.is_empty() || found, "{}: {link}", page.display());
        }
    }
}
