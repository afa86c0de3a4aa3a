"""How a browser shows the page about runs."""

import html
import json
import re

import numpy as np
import pytest
from PIL import Image

from helpers.browser import CHROMIUM, everything_heard, run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


def test_the_script_flips_between_methods_and_runs(page, tmp_path):
    """Chromium presses the buttons of a copy; the hash of the page lets no other script run."""
    text = page.read_text()
    press = """
      const box = document.querySelectorAll("[data-flip]")[1];
      const shown = () => [...box.querySelectorAll("[data-method]")].filter(item => !item.hidden)
        .map(item => item.dataset.run + "/" + item.dataset.method);
      const before = new Set(shown());
      const press = name => [...box.querySelectorAll("button")]
        .find(button => button.textContent === name).click();
      press("VJP"); press("S-IB, seed 1");
      document.title = JSON.stringify([[...before].sort(), [...new Set(shown())]]);
    """
    for name, policy in (("free", ""), ("kept", re.search("<meta http-equiv[^>]*>", text)[0])):
        copy = re.sub("<meta http-equiv[^>]*>", lambda _, p=policy: p, text)
        (tmp_path / f"{name}.html").write_text(
            copy.replace("</body>", f"<script>{press}</script></body>")
        )
    title = re.search("<title>(.*?)</title>", run(tmp_path / "free.html", tmp_path / "p"))[1]
    before, after = json.loads(html.unescape(title))
    runs = [f"{name}, seed {seed}" for name in ("S-IB", "cross-entropy") for seed in (0, 1)]
    assert before == [f"{name}/saliency" for name in runs]
    assert after == ["S-IB, seed 1/VJP"]
    assert "<title>What " in run(tmp_path / "kept.html", tmp_path / "p")


def test_chromium_shows_it_and_asks_for_nothing(page, tmp_path):
    with everything_heard() as (option, heard):
        control = tmp_path / "control.html"
        control.write_text('<img src="http://example.org/picture.png">')
        run(control, tmp_path / "profile", option)
        assert any("picture.png" in path for path in heard)  # the server does hear
        heard.clear()
        shown = run(page, tmp_path / "profile", option)
        assert heard == []
    for anchor in re.findall(r'id="\w+"', page.read_text()):
        assert anchor in shown


@pytest.mark.parametrize("width", [360, 1100])
def test_it_is_no_wider_than_the_screen_and_every_image_shows(page, tmp_path, width):
    """Measured from a frame around the page, whose policy against scripts is taken out."""
    inner = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    quoted = json.dumps(inner).replace("</", "<\\/")
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"""<body><iframe id="f" style="border:0;width:{width}px;height:900px"></iframe>
        <script>
        const frame = document.getElementById("f");
        frame.onload = () => {{
          const inner = frame.contentDocument;
          const broken = [...inner.images].filter(image => image.naturalWidth === 0).length;
          const focus = inner.querySelectorAll("a[href], summary, [tabindex='0']").length;
          document.title = JSON.stringify(
            {{wide: inner.documentElement.scrollWidth, broken, focus}});
        }};
        frame.srcdoc = {quoted};
        </script></body>"""
    )
    shown = run(frame, tmp_path / "profile", "--virtual-time-budget=5000")
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", shown).group(1)))
    assert found["wide"] <= width
    assert found["broken"] == 0
    assert found["focus"] > 10


def test_light_and_dark(page, tmp_path):
    """The corner of the page is paper: bright in one, dark in the other; ink is the reverse."""
    shades = {}
    for scheme in (0, 1):  # 0 is dark to Chromium
        picture = tmp_path / f"{scheme}.png"
        run(
            page,
            tmp_path / "profile",
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=800,600",
            f"--screenshot={picture}",
        )
        pixels = np.asarray(Image.open(picture).convert("L"), dtype=float)
        shades[scheme] = pixels[2, 2], pixels.min(), pixels.max()
    assert shades[1][0] > 240 and shades[1][1] < 60
    assert shades[0][0] < 40 and shades[0][2] > 200
