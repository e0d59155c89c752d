/** Where the page begins: the view that its address names. */

import "ol/ol.css";
import "./style.css";

import { App } from "./app";
import { parseState } from "./state";

void new App().go(parseState(location.hash));
