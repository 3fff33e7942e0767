use std::fs;
use std::path::Path;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response};
use tempfile::TempDir;

use super::read::list;
use super::*;
use crate::error::{Place, ServeError};

fn named_at() -> Place {
    Place { path: Path::new("guest.toml").into(), line: 2, column: 10 }
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, contents) in [
        ("index.html", "<h1>home</h1>"),
        ("a b.txt", "spaces"),
        ("docs/index.html", "docs"),
        ("docs/style.css", "p {}"),
        (".env", "secret"),
        (".git/config", "secret"),
        (".well-known/security.txt", "mail us"),
        ("empty/deep/x.json", "{}"),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    fs::write(folder.path().parent().unwrap().join("outside-of-the-folder.txt"), "outside").unwrap();
    folder
}

fn read(folder: &Path) -> Result<StaticFiles, ServeError> {
    StaticFiles::read(list(folder, &named_at())?, 1000, &named_at(), None)
}

fn get(files: &StaticFiles, rest: &str) -> Option<Response<Bytes>> {
    files.respond(&Method::GET, "/hello", rest, &HeaderMap::new())
}

#[test]
fn files_are_served_by_their_paths_and_folders_by_their_index() {
    let folder = folder();
    let files = read(folder.path()).unwrap();
    assert_eq!(files.len(), 6);
    let body = |rest: &str| get(&files, rest).filter(|found| found.status() == 200).map(Response::into_body);
    assert_eq!(body("/").unwrap(), "<h1>home</h1>");
    assert_eq!(body("/index.html").unwrap(), "<h1>home</h1>");
    assert_eq!(body("/docs/").unwrap(), "docs");
    assert_eq!((body("/a%20b.txt").unwrap(), body("/%61 b.txt").unwrap()), ("spaces".into(), "spaces".into()));
    assert_eq!(body("/.well-known/security.txt").unwrap(), "mail us");
    let location = |mount: &str, rest: &str| {
        let found = files.respond(&Method::GET, mount, rest, &HeaderMap::new()).unwrap();
        (found.status().as_u16(), found.headers()[header::LOCATION].to_str().unwrap().to_owned())
    };
    assert_eq!(location("/hello", ""), (308, "/hello/".to_owned()));
    assert_eq!(location("/hello", "/docs"), (308, "/hello/docs/".to_owned()));
    assert_eq!(location("/", "/docs"), (308, "/docs/".to_owned()));
}

#[test]
fn nothing_outside_or_hidden_is_served_and_no_folder_is_listed() {
    let folder = folder();
    let files = read(folder.path()).unwrap();
    for rest in [
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/empty/",
        "/empty",
        "/empty/deep/",
        "/../outside-of-the-folder.txt",
        "/docs/../index.html",
        "/%2e%2e/outside-of-the-folder.txt",
        "/docs%2findex.html",
        "/docs%2Findex.html",
        "/docs\\index.html",
        "//index.html",
        "/index.html/",
        "/index.html%00",
        "/index.html\0",
        "/%",
        "/%f",
        "/%zz",
        "/%ff",
        "/missing.html",
        "index.html",
    ] {
        assert!(get(&files, rest).is_none(), "{rest}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        assert!(files.respond(&method, "/hello", "/index.html", &HeaderMap::new()).is_none(), "{method}");
    }
}

#[test]
fn a_file_has_its_headers_and_is_sent_once() {
    let folder = folder();
    let files = read(folder.path()).unwrap();
    let found = get(&files, "/docs/style.css").unwrap();
    let of = |name: header::HeaderName| found.headers()[name].to_str().unwrap();
    assert_eq!((of(header::CONTENT_TYPE), of(header::CONTENT_LENGTH)), ("text/css; charset=utf-8", "4"));
    assert_eq!((of(header::CACHE_CONTROL), of(header::X_CONTENT_TYPE_OPTIONS)), ("no-cache", "nosniff"));
    let etag = of(header::ETAG);
    let status = |tag: &str| {
        let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(tag).unwrap())]);
        let found = files.respond(&Method::GET, "/hello", "/docs/style.css", &headers).unwrap();
        (found.status().as_u16(), found.body().len())
    };
    for known in [etag, "*", &format!("W/{etag}"), &format!("\"x\", {etag}")] {
        assert_eq!(status(known), (304, 0), "{known}");
    }
    assert_eq!(status("\"x\""), (200, 4));
    let head = files.respond(&Method::HEAD, "/hello", "/docs/style.css", &HeaderMap::new()).unwrap();
    assert_eq!((head.body().len(), &head.headers()[header::CONTENT_LENGTH]), (0, &HeaderValue::from_static("4")));
}

#[test]
fn files_that_did_not_change_are_not_read_again() {
    let folder = folder();
    let files = read(folder.path()).unwrap();
    fs::write(folder.path().join("index.html"), "<h1>new</h1>").unwrap();
    let listed = list(folder.path(), &named_at()).unwrap();
    let again = StaticFiles::read(listed, 1000, &named_at(), Some(&files)).unwrap();
    let at = |files: &StaticFiles, path: &str| files.by_path[path].contents.as_ptr();
    assert_eq!(at(&files, "/a b.txt"), at(&again, "/a b.txt"));
    assert_eq!(get(&again, "/").unwrap().into_body(), "<h1>new</h1>");
    assert!(!again.is_same(&files) && again.is_same(&read(folder.path()).unwrap()));
    assert_eq!(get(&files, "/").unwrap().into_body(), "<h1>home</h1>", "the version before has its own");
}

#[test]
fn too_many_bytes_and_a_missing_folder_are_told() {
    let folder = folder();
    let listed = || list(folder.path(), &named_at()).unwrap();
    let error = StaticFiles::read(listed(), 35, &named_at(), None).unwrap_err().to_string();
    let expected = "the files have 36 bytes, and 35 are allowed; raise `static` in `[limits]`, or serve fewer";
    assert_eq!(error, format!("guest.toml:2:10: {expected}"));
    StaticFiles::read(listed(), 36, &named_at(), None).unwrap();
    let missing = folder.path().join("none");
    let error = list(&missing, &named_at()).unwrap_err().to_string();
    let expected = format!("there is no folder {}; make it, or leave `static` out", missing.display());
    assert_eq!(error, format!("guest.toml:2:10: {expected}"));
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_are_refused() {
    use std::os::unix::fs::symlink;

    let folder = folder();
    let link = folder.path().join("link.html");
    symlink("index.html", &link).unwrap();
    assert_eq!(get(&read(folder.path()).unwrap(), "/link.html").unwrap().into_body(), "<h1>home</h1>");
    for (target, leads) in
        [("/etc/hostname", "out of the folder"), ("/etc", "out of the folder"), ("docs", "to a folder")]
    {
        fs::remove_file(&link).unwrap();
        symlink(target, &link).unwrap();
        let error = read(folder.path()).map(|_| ()).unwrap_err().to_string();
        let link = folder.path().canonicalize().unwrap().join("link.html");
        let expected = format!("the symbolic link {} leads {leads}; put files in its place", link.display());
        assert_eq!(error, format!("guest.toml:2:10: {expected}"));
    }
}
