//! The book's search, and the buttons that copy a sample, from files and without a server.

use std::path::Path;
use std::time::Duration;

use browser_tests::Browser;

/// Pages whose scripts once failed, because a heading had the name of something that the scripts look for; and another.
const PAGES: [&str; 3] = ["contract.html", "foreign-guests/contract.html", "embed.html"];

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_searched_and_samples_copied() {
    let browser = Browser::start().await.unwrap();
    for name in PAGES {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/book").join(name);
        let file = file.canonicalize().expect("`cargo xtask docs` builds the book");
        let page = browser.page().await.unwrap();
        page.goto(format!("file://{}?search=freelist", file.display())).await.unwrap();
        let count = "document.querySelectorAll('#mdbook-searchresults li').length";
        let mut results = 0_usize;
        // The index is loaded when a search begins.
        for _ in 0..100 {
            results = page.evaluate(count).await.unwrap().into_value().unwrap();
            if results > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(results > 3, "{name}: {results} results");
        let samples: usize =
            page.evaluate("document.querySelectorAll('main pre').length").await.unwrap().into_value().unwrap();
        let buttons: usize = page
            .evaluate("document.querySelectorAll('main pre .clip-button').length")
            .await
            .unwrap()
            .into_value()
            .unwrap();
        assert_eq!(buttons, samples, "{name}: buttons");
        page.close().await.unwrap();
    }
    browser.end().await.unwrap();
}
