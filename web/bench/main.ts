// The chart of the portal alone on a page, with as many points as the address says: `?lines=8&points=12500`.
import '../src/styles/tokens.css'
import '../src/styles/fonts.css'
import '../src/styles/base.css'
import { mount } from 'svelte'
import Stage from './Stage.svelte'

const target = document.getElementById('stage')
if (target) mount(Stage, { target })
