"""Where a Chromium is, and how to start it so that it keeps quiet."""

from __future__ import annotations

import shutil

NAME = "loupe.example"
"""A name that the browser of the tests takes for this machine."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLAYWRIGHTS = (
    "AimEnabled", "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter",
    "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)  # fmt: skip
"""Features that Playwright turns off; the flag that says so counts once, the last time."""

OF_THE_WINDOW = ("WebUIOmniboxPopup", "WebUIOmniboxFullPopup", "WebUIOmniboxAimPopup")
"""Pages around the page, which nobody sees: to load them takes half of the time in which a tab opens."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join((*PLAYWRIGHTS, *OF_THE_WINDOW))}",
)


def find_chromium() -> str | None:
    """Path of an installed Chromium, None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)
