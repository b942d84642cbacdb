//! Says so when the browser's files are not built yet: the binary then explains it on its page.

fn main() {
    println!("cargo:rerun-if-changed=static/dist");
    if !std::path::Path::new("static/dist/index.html").exists() {
        println!(
            "cargo:warning=static/dist is empty: the demo page is left out. `npm ci && npm run build` in static/ makes it"
        );
    }
}
