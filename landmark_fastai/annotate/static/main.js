import './view.js'
