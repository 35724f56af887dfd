"""Lists of what git should leave alone, by language: our own, short, for a repository's first commit."""

_EDITORS = "# Editors and systems\n.idea/\n.vscode/\n*.swp\n.DS_Store\nThumbs.db\n"

_LISTS: dict[str, tuple[str, ...]] = {
    "C": (
        "# Built",
        "*.o",
        "*.a",
        "*.so",
        "*.so.*",
        "*.dylib",
        "*.dll",
        "*.exe",
        "*.out",
        "*.gcda",
        "*.gcno",
        "build/",
    ),
    "C++": (
        *("# Built", "*.o", "*.obj", "*.a", "*.so", "*.so.*", "*.dylib", "*.dll", "*.lib", "*.exe", "*.out", "*.gch"),
        *("build/", "cmake-build-*/", "compile_commands.json"),
    ),
    "CSharp": ("# Built", "bin/", "obj/", "*.user", "*.suo", ".vs/", "TestResults/", "*.nupkg"),
    "Clojure": (
        "# Built",
        "target/",
        "classes/",
        ".cpcache/",
        ".lsp/",
        ".clj-kondo/.cache/",
        ".nrepl-port",
    ),
    "Dart": ("# Built", ".dart_tool/", ".packages", "build/", "coverage/", ".flutter-plugins*"),
    "Elixir": ("# Built", "_build/", "deps/", "cover/", "doc/", "erl_crash.dump", "*.ez", "*.beam"),
    "Go": ("# Built", "bin/", "*.exe", "*.test", "*.out", "coverage.*", "# Local", "go.work", "go.work.sum", ".env"),
    "Haskell": (
        "# Built",
        "dist/",
        "dist-newstyle/",
        ".stack-work/",
        "*.hi",
        "*.o",
        "*.hie",
        "*.prof",
        "cabal.project.local",
    ),
    "Java": ("# Built", "target/", "build/", "out/", "*.class", "*.jar", "*.war", ".gradle/", "hs_err_pid*", "*.log"),
    "Julia": ("# Built", "*.jl.cov", "*.jl.*.cov", "*.jl.mem", "docs/build/", "# Local", "Manifest.toml"),
    "Kotlin": ("# Built", "build/", "out/", "*.class", "*.jar", ".gradle/", ".kotlin/", "local.properties"),
    "Lua": ("# Built", "*.luac", "*.o", "*.so", "*.rock", "lua_modules/", ".luarocks/"),
    "Node": (
        *("# Fetched", "node_modules/", "# Built", "dist/", "coverage/", "*.tsbuildinfo", "*.log", ".cache/"),
        *("# Local", ".env", ".env.*", "!.env.example"),
    ),
    "PHP": ("# Fetched", "vendor/", "# Built", ".phpunit.cache/", ".php-cs-fixer.cache", "*.log", "# Local", ".env"),
    "Perl": ("# Built", "blib/", "_build/", "cover_db/", "Build", "Makefile", "Makefile.old", "pm_to_blib", "MYMETA.*"),
    "Python": (
        *("# Built", "__pycache__/", "*.py[cod]", "*.so", "build/", "dist/", "*.egg-info/"),
        *("# Kept by tools", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".coverage", "htmlcov/"),
        *("# Local", ".venv/", "venv/", ".env"),
    ),
    "R": ("# Kept by R", ".Rhistory", ".RData", ".Rproj.user/", "*.Rcheck/", "*_cache/", "# Local", ".Renviron"),
    "Ruby": (
        "# Fetched",
        "vendor/bundle/",
        ".bundle/",
        "# Built",
        "*.gem",
        "coverage/",
        "tmp/",
        "log/",
        "# Local",
        ".env",
    ),
    "Rust": ("# Built", "target/", "*.pdb", "*.rs.bk"),
    "Scala": ("# Built", "target/", "*.class", ".bsp/", ".metals/", ".bloop/", "project/project/"),
    "Swift": ("# Built", ".build/", "DerivedData/", "*.xcuserstate", "xcuserdata/", "Packages/", "*.ipa", "*.dSYM/"),
    "Terraform": ("# Kept by Terraform", ".terraform/", "*.tfstate", "*.tfstate.*", "crash.log", "# Local", "*.tfvars"),
    "Zig": ("# Built", ".zig-cache/", "zig-cache/", "zig-out/"),
}

NAMES = tuple(sorted(_LISTS))
"""What there are lists for, in order."""


def find_gitignore(name: str) -> tuple[str, str] | None:
    """Return the name as it is written and the list for it; None if there is none. Case does not matter."""
    found = next((one for one in NAMES if one.lower() == name.lower()), None)
    return None if found is None else (found, "\n".join(_LISTS[found]) + "\n\n" + _EDITORS)
