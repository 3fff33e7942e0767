//! The page of the book that asks which allocator to take: its questions, by mouse and by keyboard, and its table without them.

use std::path::Path;

use browser_tests::Browser;
use chromiumoxide::Page;
use chromiumoxide::cdp::browser_protocol::emulation::SetScriptExecutionDisabledParams;

/// Opens the page of the built book.
async fn open(browser: &Browser, scripts: bool) -> Page {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/book/choose.html");
    let file = file.canonicalize().expect("`cargo xtask docs` builds the book");
    let page = browser.page().await.unwrap();
    page.execute(SetScriptExecutionDisabledParams::new(!scripts)).await.unwrap();
    page.goto(format!("file://{}", file.display())).await.unwrap();
    page
}

/// The rows of the table that a reader sees.
async fn rows(page: &Page) -> usize {
    let count = "document.querySelectorAll('#questions ~ .table-wrapper tbody tr:not([hidden])').length";
    page.evaluate(count).await.unwrap().into_value().unwrap()
}

/// The text that the page shows for the answers so far.
async fn answer(page: &Page) -> String {
    page.evaluate("document.querySelector('.answer').textContent").await.unwrap().into_value().unwrap()
}

/// Clicks the answer to a question.
async fn give(page: &Page, question: usize, answer: &str) {
    let option = format!("input[name='question-{question}'][value='{answer}']");
    page.find_element(option).await.unwrap().click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_lead_to_one_row() {
    let browser = Browser::start().await.unwrap();
    let page = open(&browser, true).await;
    let all = rows(&page).await;
    assert!(all > 5, "{all} rows");

    give(&page, 0, "yes").await;
    give(&page, 1, "after every call").await;
    give(&page, 2, "no").await;
    assert!(answer(&page).await.contains("3 choices are left"), "{}", answer(&page).await);
    give(&page, 3, "yes").await;
    assert_eq!(rows(&page).await, 1);
    let found = answer(&page).await;
    assert!(found.contains("takebump-reset, bump-reset, keep"), "{found}");
    // Nothing that is left depends on how much a call writes.
    let disabled: Vec<bool> = page
        .evaluate("[...document.querySelectorAll('.questions fieldset')].map((part) => part.disabled)")
        .await
        .unwrap()
        .into_value()
        .unwrap();
    assert_eq!(disabled, [false, false, false, false, true]);

    page.find_element(".questions button").await.unwrap().click().await.unwrap();
    assert_eq!(rows(&page).await, all);
    assert!(answer(&page).await.starts_with("Answer the questions"), "{}", answer(&page).await);
    browser.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_answers() {
    let browser = Browser::start().await.unwrap();
    let page = open(&browser, true).await;
    let all = rows(&page).await;
    let first = page.find_element("input[name='question-0']").await.unwrap();
    first.focus().await.unwrap().press_key("ArrowDown").await.unwrap();
    let focused = "document.activeElement.checked && document.activeElement.name";
    let focused: String = page.evaluate(focused).await.unwrap().into_value().unwrap();
    assert_eq!(focused, "question-0");
    assert!(rows(&page).await < all);
    // Every question is a group with a name, every answer has a label, and the result is announced.
    let faults: Vec<String> = page
        .evaluate(
            "[...document.querySelectorAll('.questions fieldset')].filter((part) => !part.querySelector('legend')?.textContent)
                .map(() => 'a question without a legend')
                .concat([...document.querySelectorAll('.questions input')].filter((input) => !input.labels.length)
                    .map(() => 'an answer without a label'))
                .concat(document.querySelector('.answer[role=status][aria-live=polite]') ? [] : ['no live region'])",
        )
        .await
        .unwrap()
        .into_value()
        .unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    browser.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_there_is_the_table() {
    let browser = Browser::start().await.unwrap();
    let with = open(&browser, true).await;
    let all = rows(&with).await;
    let without = open(&browser, false).await;
    let text = without.find_element("main").await.unwrap().inner_html().await.unwrap().unwrap();
    assert!(!text.contains("<fieldset"), "the questions are made by the script");
    let table = text.split_once("id=\"questions\"").unwrap().1.split_once("</table>").unwrap().0;
    // One more for the heads.
    assert_eq!(table.matches("<tr>").count(), all + 1, "{table}");
    browser.end().await.unwrap();
}
