/** Where the page begins: the view that its address names. */

import "ol/ol.css";
import "./style/page.css";
import "./style/map.css";
import "./style/panel.css";
import "./style/controls.css";
import "./style/lists.css";
import "./style/tile.css";
// Last: it changes what the others say.
import "./style/phone.css";

import { App } from "./app";
import { parseState } from "./state";

void new App().go(parseState(location.hash));
